import t from 'tap';
import fc from 'fast-check';
import { encodeCheck, mergeChecked } from '../../src/scrub/check-records.ts';
import { DONE, chooseDue, placeOf } from '../../src/scrub/choose-due.ts';
import { NotedSums, encodeNotedSum } from '../../src/scrub/noted-sums.ts';
import { SortedNumbers } from '../../src/scrub/number-set.ts';

const inodes = fc
  .uniqueArray(fc.integer({ min: 1, max: 2 ** 40 }), { maxLength: 50 })
  .map((list) => list.sort((a, b) => a - b));

t.test('those are due whose check is the oldest, and as many as asked', (t) => {
  const times = fc.array(fc.oneof(fc.nat(20), fc.constant(DONE)), { maxLength: 40 });
  fc.assert(
    fc.property(times, fc.nat(50), (list, wanted) => {
      const { due, count } = chooseDue(Uint32Array.from(list), wanted);
      const open = list.filter((timeS) => timeS !== DONE);
      t.equal(count, Math.min(wanted, open.length));
      const taken = list.filter((_, place) => due[place] === 1).sort((a, b) => a - b);
      t.same(taken, open.sort((a, b) => a - b).slice(0, count));
    }),
  );
  t.end();
});

t.test('times follow their inodes through any change of the account', (t) => {
  fc.assert(
    fc.property(inodes, inodes, (before, after) => {
      const old = mergeChecked(Float64Array.from(before), Buffer.alloc(0)).text;
      for (const [place, inode] of before.entries())
        encodeCheck(place, { timeS: (inode % 1_000_000) + 1, isGivenUp: inode % 3 === 0 }).bytes.copy(
          old,
          place * 16 + 8,
        );
      const { text, checkedAtS, givenUp } = mergeChecked(Float64Array.from(after), old);
      t.same(
        [...checkedAtS],
        after.map((inode) => (before.includes(inode) ? (inode % 1_000_000) + 1 : 0)),
      );
      t.same(
        [...givenUp].map((place) => after[place]),
        after.filter((inode) => before.includes(inode) && inode % 3 === 0),
      );
      t.same(mergeChecked(Float64Array.from(after), text).text, text);
    }),
  );
  t.end();
});

t.test('many repeated numbers become few, sorted', (t) => {
  const numbers = new SortedNumbers();
  for (let i = 0; i < 1_000_000; i++) numbers.add(((i * 7_919) % 100_003) + 2 ** 33);
  const found = numbers.finish();
  t.equal(found.length, 100_003);
  t.equal(found[0], 2 ** 33);
  t.ok(found.every((number, place) => place === 0 || number > (found[place - 1] ?? Infinity)));
  t.equal(placeOf(found, 2 ** 33 + 4_711), 4_711);
  t.equal(placeOf(found, 5), -1);
  t.end();
});

t.test('the later note of an inode holds; notes of what is gone, or half written, do not', (t) => {
  const note = (inode: number, fill: number, sizeBytes = 5) =>
    encodeNotedSum({ inode, sizeBytes, mtimeNs: 7n, sha256: Buffer.alloc(32, fill) });
  const sums = new NotedSums(
    Buffer.concat([note(9, 1), note(3, 2), note(9, 3), note(4, 4), note(8, 5).subarray(0, 50)]),
  );
  t.same(sums.find({ inode: 9, sizeBytes: 5, mtimeNs: 7n }), Buffer.alloc(32, 3));
  t.equal(sums.find({ inode: 9, sizeBytes: 6, mtimeNs: 7n }), undefined);
  t.equal(sums.find({ inode: 9, sizeBytes: 5, mtimeNs: 8n }), undefined);
  t.equal(sums.find({ inode: 8, sizeBytes: 5, mtimeNs: 7n }), undefined);
  t.same(
    sums.compacted((inode) => inode !== 4),
    Buffer.concat([note(3, 2), note(9, 3)]),
  );
  t.end();
});

t.test('a file of a year that 64 bits of nanoseconds do not reach is noted, too', async (t) => {
  const about = { inode: 5, sizeBytes: 1, mtimeNs: 15_000_000_000n * 1_000_000_000n };
  const sums = new NotedSums(encodeNotedSum({ ...about, sha256: Buffer.alloc(32, 1) }));
  t.same(sums.find(about), Buffer.alloc(32, 1));
  t.equal(sums.find({ ...about, mtimeNs: about.mtimeNs + 1n }), undefined);
});
