import t from 'tap';
import type { RunName } from '@bakker/impl-format';
import { temporaryFindings } from '../../src/adapters/temporary/temporary-findings.ts';
import { longLinesByRun } from '../../src/cli/entry-lines.ts';
import { entryOf } from '../restore/entries.ts';

const MANY = 200_000;
const text = (path: Buffer) => path.toString();
const named = (name: string) => name as RunName;

t.test('what was found comes back as it was, in order and twice, however much it is', async (t) => {
  const hits = temporaryFindings.hits();
  const odd = {
    ...entryOf('tmp/odd'),
    path: Buffer.from([0x74, 0xff, 0x0a]),
    sha256: Buffer.alloc(32, 7),
    user: 'ö',
    linkCount: 3,
    xattrs: [{ name: Buffer.from('user.a'), value: Buffer.from([0]) }],
  };
  for (let i = 0; i < MANY; i++)
    await hits.add({ run: named('2024_04_18_01'), entry: entryOf(`tmp/${i}`, { sizeBytes: i }) });
  await hits.add({ run: named('2024_04_19_01'), entry: odd });
  for (const _again of [1, 2]) {
    let count = 0;
    for (const { run, entry } of hits) {
      if (count === MANY) t.same({ run, entry }, { run: '2024_04_19_01', entry: odd });
      else if (entry.sizeBytes !== count || entry.path.toString() !== `tmp/${count}`)
        t.fail(`number ${count}`);
      count++;
    }
    t.equal(count, MANY + 1);
  }
  const lines = longLinesByRun(hits, { name: String });
  t.equal(lines.next().value, '2024_04_18_01:');
  t.equal(lines.next().value, '  -rw-r--r--  1  0  0       0  2023-11-14 22:13 UTC  /tmp/0');
  lines.return(undefined);
});

t.test(
  'more paths that went and came than a call takes arguments are moves by inode, then by content',
  async (t) => {
    const differences = await temporaryFindings.differences();
    const lone = (name: string, change: 'added' | 'removed', inode: string, content?: string) =>
      differences.addLone(Buffer.from(name), change, { inode, content });
    // all have one content: the first that came gets the first that went
    for (let i = 0; i < MANY; i++) lone(`a/${i}`, 'removed', `old ${i}`, 'same');
    differences.add(Buffer.from('b'), 'metadata');
    for (let i = 0; i < MANY; i++) lone(`c/${i}`, 'added', i === 0 ? 'old 1' : `new ${i}`, 'same');
    lone('d', 'added', 'new', 'same');
    lone('e', 'removed', 'empty');
    lone('f', 'added', 'of its own');
    differences.findMoves();
    t.equal(differences.count, MANY + 4);
    const told = Array.from(
      differences,
      ({ path, change, from }) => `${change} ${text(path)}${from === undefined ? '' : ` from ${text(from)}`}`,
    );
    t.same(told.slice(0, 4), [
      'metadata b',
      'moved c/0 from a/1',
      'moved c/1 from a/0',
      'moved c/2 from a/2',
    ]);
    t.same(told.slice(-4), [`moved c/${MANY - 1} from a/${MANY - 1}`, 'added d', 'removed e', 'added f']);
  },
);
