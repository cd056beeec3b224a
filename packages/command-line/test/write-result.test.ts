import t from 'tap';
import type { Screen } from '../src/command.ts';
import { writeResult } from '../src/write-result.ts';

async function written(
  { value, render }: { value?: unknown; render?: (screen: Screen) => void },
  json: boolean,
): Promise<string[]> {
  const pieces: string[] = [];
  const performed = { exitStatus: 0, json: () => value, render: render ?? (() => undefined) };
  await writeResult(performed, {
    json,
    write: async (text) => void pieces.push(text),
    typedHere: (text) => text,
  });
  return pieces;
}

t.test('JSON is one value on one line, or nothing', async (t) => {
  t.same(await written({ value: { a: ['x\ny'] } }, true), ['{"a":["x\\ny"]}\n']);
  t.same(await written({ value: null }, true), ['null\n']);
  t.same(await written({ value: undefined }, true), []);
});

t.test('what can be iterated is one array, and goes out as it is made', async (t) => {
  t.same(await written({ value: [] }, true), ['[]\n']);
  t.same(await written({ value: new Set([1]).values() }, true), ['[1]\n']);
  const made: number[] = [];
  const values = Array.from({ length: 20_000 }, (_, index) => ({ index })).values();
  const pieces: { text: string; made: number }[] = [];
  const performed = {
    exitStatus: 0,
    json: () => values.map((value) => (made.push(value.index), value)),
    render: () => undefined,
  };
  const write = async (text: string) => void pieces.push({ text, made: made.length });
  await writeResult(performed, { json: true, write, typedHere: String });
  t.same(
    JSON.parse(pieces.map(({ text }) => text).join('')),
    Array.from({ length: 20_000 }, (_, index) => ({ index })),
  );
  t.ok((pieces[0]?.made ?? 0) < 10_000, 'the first went out before the last was made');
});

t.test('people read lines in which names can not steer the terminal', async (t) => {
  const render = (screen: Screen) => {
    screen.line(screen.name(Buffer.from('a\x1b[2J')));
    screen.lines(['one', 'two'].values());
    screen.line('');
  };
  t.same(await written({ render }, false), ['a\\x1b[2J\none\ntwo\n\n']);
  t.same(await written({}, false), []);
});

t.test('long output goes out in pieces that are whole lines', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}`);
  const pieces = await written({ render: (screen) => lines.forEach((line) => screen.line(line)) }, false);
  t.equal(pieces.join(''), `${lines.join('\n')}\n`);
  t.ok(pieces.length > 2);
  t.ok(pieces.every((piece) => piece.endsWith('\n') && piece.length < 70_000));
});
