import { FormatProblem, MAX_PUT_BYTES, MAX_PUT_FILES } from '@bakker/impl-format/storage';
import { StorageError } from '../errors.ts';
import type { PutFile } from '../ports/account.ts';
import { BodyReader } from './body-reader.ts';

/**
 * The files of a `put`: what is said of each, then their contents, one behind the other.
 *
 * @returns views of the body
 * @throws FormatProblem MALFORMED, HOSTILE; StorageError OUT_OF_ORDER for more than one message may bring
 */
export function readPut(body: Buffer): PutFile[] {
  const reader = new BodyReader(body);
  const count = reader.u32();
  if (count < 1 || count > MAX_PUT_FILES) {
    throw new StorageError('OUT_OF_ORDER', `a put has 1 to ${MAX_PUT_FILES} files, not ${count}`);
  }
  const heads: { path: Buffer; mtimeNs: bigint; isExecutable: boolean; flush: boolean; sizeBytes: number }[] =
    [];
  let contentBytes = 0;
  for (let index = 0; index < count; index++) {
    const path = reader.path();
    const mtimeNs = reader.i64();
    const flags = reader.flags();
    const sizeBytes = reader.u32();
    contentBytes += sizeBytes;
    heads.push({ path, mtimeNs, ...flags, sizeBytes });
  }
  if (contentBytes > MAX_PUT_BYTES) {
    throw new StorageError('OUT_OF_ORDER', `a put has at most ${MAX_PUT_BYTES} bytes`);
  }
  const contents = reader.rest();
  if (contents.length !== contentBytes)
    throw new FormatProblem('MALFORMED', 'the contents are not as long as the files are said to be');
  let at = 0;
  return heads.map(({ path, sizeBytes, ...about }) => {
    const content = contents.subarray(at, (at += sizeBytes));
    return { path, content, about };
  });
}
