import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { escapeName, escapeText, unescapeName } from '../src/escape-name.ts';

const text = (name: string): string => escapeName(Buffer.from(name));

t.test('ordinary names stay as they are', (t) => {
  for (const name of ['file.txt', 'Ünïcödé', '日本語', 'a b', '👩‍👧 family', "it's", ''])
    t.equal(text(name), name);
  t.end();
});

t.test('what a terminal would obey or reorder is shown as an escape', (t) => {
  t.equal(text('a\nb\tc\rd'), 'a\\nb\\tc\\rd');
  t.equal(text('\x1b[2J\x07\x7f\0'), '\\x1b[2J\\x07\\x7f\\x00');
  t.equal(text('\u0085\u009b31m'), '\\u0085\\u009b31m');
  t.equal(text('gpj\u202e.exe\u2066\u2069\u200f'), 'gpj\\u202e.exe\\u2066\\u2069\\u200f');
  t.equal(text('\u2028\ufeff\u200b'), '\\u2028\\ufeff\\u200b');
  t.equal(text('a\\nb'), 'a\\\\nb');
  t.end();
});

t.test('bytes that are not UTF-8 are shown one by one', (t) => {
  t.equal(escapeName(Buffer.from([0x61, 0xff, 0x62])), 'a\\xffb');
  t.equal(escapeName(Buffer.from([0xc0, 0xaf])), '\\xc0\\xaf', 'overlong');
  t.equal(escapeName(Buffer.from([0xed, 0xa0, 0x80])), '\\xed\\xa0\\x80', 'surrogate');
  t.equal(escapeName(Buffer.from([0xf4, 0x90, 0x80, 0x80])), '\\xf4\\x90\\x80\\x80', 'beyond Unicode');
  t.equal(escapeName(Buffer.from([0xe2, 0x82])), '\\xe2\\x82', 'cut off');
  t.equal(escapeName(Buffer.from([0xe2, 0x82, 0xac])), '€');
  t.end();
});

t.test('no name reaches a terminal raw, and no two look the same', (t) => {
  const raw = /[\0-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd]/u;
  const seen = new Map<string, string>();
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0x5c, 0x78, 0x31, 0x62, 0x1b, 0xe2, 0x80, 0xae),
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 12 }), (bytes) => {
      const name = Buffer.from(bytes);
      const shown = escapeName(name);
      ok(!raw.test(shown) || name.toString('utf8').includes('\ufffd'), shown);
      const hex = name.toString('hex');
      ok((seen.get(shown) ?? hex) === hex, shown);
      seen.set(shown, hex);
      ok(unescapeName(shown).equals(name), shown);
    }),
    { numRuns: 5000 },
  );
  t.pass('5,000 names');
  t.end();
});

t.test('what is shown can be typed, and leads back to the name', (t) => {
  for (const name of ['a\nb\tc\rd', 'back\\slash\\n', '\x1b[2J', 'gpj\u202e.exe', '\u{e0001}1', 'Ünïcödé'])
    t.equal(unescapeName(text(name)).toString(), name);
  t.same(unescapeName('o\\xff\\x0A'), Buffer.from([0x6f, 0xff, 0x0a]));
  t.equal(unescapeName('a\\qb\\').toString(), 'a\\qb\\', 'no escape of ours');
  t.end();
});

t.test('a message keeps the backslashes of names that are escaped already', (t) => {
  t.equal(escapeText('can not read a\\x1bb\x1b'), 'can not read a\\x1bb\\x1b');
  t.end();
});
