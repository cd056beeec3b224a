import { FormatProblem } from './errors.ts';

/** The longest line, with its newline. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts a stream into buffers of whole lines; each ends with a newline. Holds at most one line and a piece of the source.
 * @throws FormatProblem MALFORMED for a line of more than 16 MiB, TRUNCATED if the last line does not end
 */
export async function* lineBlocks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const piece of pieces) {
    const first = piece.indexOf(NEWLINE);
    if (begunBytes + (first === -1 ? piece.length : first + 1) > MAX_LINE_BYTES) {
      throw new FormatProblem('MALFORMED', `a line is longer than ${MAX_LINE_BYTES} bytes`);
    }
    const end = piece.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const whole = piece.subarray(0, end);
      yield begun.length === 0 ? whole : Buffer.concat([...begun, whole]);
      begun = [];
      begunBytes = 0;
    }
    if (end === piece.length) continue;
    begun.push(piece.subarray(end));
    begunBytes += piece.length - end;
  }
  if (begunBytes > 0) throw new FormatProblem('TRUNCATED', 'the last line does not end');
}
