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

t.test('people read lines in which names can not steer the terminal', async (t) => {
  const render = (screen: Screen) => {
    screen.line(screen.name(Buffer.from('a\x1b[2J')));
    screen.line('');
  };
  t.same(await written({ render }, false), ['a\\x1b[2J\n\n']);
  t.same(await written({}, false), []);
});

t.test('long output goes out in pieces that are whole lines', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}`);
  const pieces = await written({ render: (screen) => lines.forEach((line) => screen.line(line)) }, false);
  t.equal(pieces.join(''), `${lines.join('\n')}\n`);
  t.ok(pieces.length > 2);
  t.ok(pieces.every((piece) => piece.endsWith('\n') && piece.length < 70_000));
});
