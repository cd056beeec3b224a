import { MAX_GET_BYTES, MAX_GET_FILES, parseRunName } from '@bakker/impl-format/storage';
import { STATUS } from '@bakker/sftp/server';
import { StorageError } from '../errors.ts';
import type { AccountReader } from '../ports/account.ts';
import { BodyReader } from './body-reader.ts';
import { refusalOf } from './refusals.ts';

/** Status and length before each content of `get-many`. */
const HEAD_BYTES = 8;
const SLASH = 0x2f;
const NOTHING = Buffer.alloc(0);

/** Tells whether paths lie in a run. Those of one reply mostly lie in the same, which is looked at once. */
class RunFiles {
  #last: Buffer = NOTHING;

  /** The path itself. @throws StorageError NOT_FOUND */
  checked(path: Buffer): Buffer {
    const slash = path.indexOf(SLASH);
    const run = path.subarray(0, Math.max(slash, 0));
    if (run.length > 0 && run.equals(this.#last)) return path;
    if (parseRunName(run.toString('latin1')) === undefined) {
      throw new StorageError('NOT_FOUND', 'the path does not begin with the name of a run');
    }
    this.#last = run;
    return path;
  }
}

/** The path itself, if it is one of a file of a run. @throws StorageError NOT_FOUND */
export function runFile(path: Buffer): Buffer {
  return new RunFiles().checked(path);
}

/**
 * Answers `get-many`: a status and a content, or a sentence, for each file in the order asked, as many as the reply has
 * room for, the first at least. Holds the reply alone. @throws FormatProblem, StorageError OUT_OF_ORDER
 */
export function getMany(reader: AccountReader, body: Buffer): Buffer {
  const wanted = wantedFiles(body);
  const runs = new RunFiles();
  const answerBytes = wanted.map(({ mostBytes }) => HEAD_BYTES + Math.max(mostBytes, SENTENCE_BYTES));
  const replyBytes = answerBytes.reduce((sum, bytes) => sum + bytes, 0);
  const reply = Buffer.allocUnsafeSlow(Math.min(replyBytes, MAX_GET_BYTES));
  let at = 0;
  for (const { path, mostBytes } of wanted) {
    const start = at + HEAD_BYTES;
    const leftBytes = reply.length - start;
    if (leftBytes < SENTENCE_BYTES && at > 0) break;
    try {
      const room = reply.subarray(start, start + Math.min(mostBytes, leftBytes));
      const lengthBytes = reader.getInto(runs.checked(path), room);
      if (lengthBytes !== undefined) at = endAnswer(reply, at, { status: STATUS.OK, lengthBytes });
      else if (room.length < mostBytes && at > 0) break;
      else throw new StorageError('FAILED', `the file is longer than ${room.length} bytes: open it and read`);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      const lengthBytes = reply.write(refusal.message, start, SENTENCE_BYTES);
      at = endAnswer(reply, at, { status: refusal.status, lengthBytes });
    }
  }
  return reply.subarray(0, at);
}

interface WantedFile {
  readonly path: Buffer;
  readonly mostBytes: number;
}

function wantedFiles(body: Buffer): readonly WantedFile[] {
  const reader = new BodyReader(body);
  const wanted: WantedFile[] = [];
  while (!reader.isAtEnd) {
    if (wanted.length === MAX_GET_FILES)
      throw new StorageError('OUT_OF_ORDER', `a get-many asks for at most ${MAX_GET_FILES} files`);
    wanted.push({ path: reader.path(), mostBytes: reader.u32() });
  }
  return wanted;
}

function endAnswer(
  reply: Buffer,
  at: number,
  { status, lengthBytes }: { status: number; lengthBytes: number },
): number {
  reply.writeUInt32BE(status, at);
  reply.writeUInt32BE(lengthBytes, at + 4);
  return at + HEAD_BYTES + lengthBytes;
}

/** More than any sentence of a refusal has; a longer one is cut. */
const SENTENCE_BYTES = 256;
