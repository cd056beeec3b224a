import type { Performed, Screen } from './command.ts';
import { escapeName } from './escape-name.ts';
import type { TypedHere } from './typed-here.ts';

const PIECE_CHARACTERS = 65_536;

/** Prints what a command did: for people, or as one JSON value. Holds one piece of what is made as it is printed. */
export async function writeResult(
  performed: Performed,
  options: { json: boolean; write: (text: string) => Promise<void>; typedHere: TypedHere },
): Promise<void> {
  const { json, write, typedHere } = options;
  let piece = '';
  for (const text of json ? jsonOf(performed.json()) : linesOf(performed, typedHere)) {
    piece += text;
    if (piece.length < PIECE_CHARACTERS) continue;
    await write(piece);
    piece = '';
  }
  if (piece !== '') await write(piece);
}

/** The text of many values may be longer than a string can be. */
function* jsonOf(value: unknown): Generator<string> {
  // the content itself was the output
  if (value === undefined) return;
  if (!isIterable(value)) {
    yield `${JSON.stringify(value)}\n`;
    return;
  }
  let before = '[';
  for (const item of value) {
    yield `${before}${JSON.stringify(item)}`;
    before = ',';
  }
  yield before === '[' ? '[]\n' : ']\n';
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function* linesOf(performed: Performed, typedHere: TypedHere): Generator<string> {
  const parts: Iterable<string>[] = [];
  const screen: Screen = {
    line: (text) => {
      parts.push([text]);
    },
    lines: (texts) => {
      parts.push(texts);
    },
    name: escapeName,
    typedHere,
  };
  performed.render(screen);
  for (const texts of parts) for (const text of texts) yield `${text}\n`;
}
