import type { Performed, Screen } from './command.ts';
import { escapeName } from './escape-name.ts';
import type { TypedHere } from './typed-here.ts';

const PIECE_CHARACTERS = 65_536;

/** Prints what a command did: for people, or as one JSON value. */
export async function writeResult(
  performed: Performed,
  options: { json: boolean; write: (text: string) => Promise<void>; typedHere: TypedHere },
): Promise<void> {
  const { json, write, typedHere } = options;
  if (json) {
    const value = performed.json();
    // the content itself was the output
    if (value !== undefined) await write(`${JSON.stringify(value)}\n`);
    return;
  }
  const lines: string[] = [];
  const screen: Screen = {
    line: (text) => {
      lines.push(`${text}\n`);
    },
    name: escapeName,
    typedHere,
  };
  performed.render(screen);
  let piece = '';
  for (const line of lines) {
    piece += line;
    if (piece.length < PIECE_CHARACTERS) continue;
    await write(piece);
    piece = '';
  }
  if (piece !== '') await write(piece);
}
