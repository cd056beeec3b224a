import { isMainThread, workerData } from 'node:worker_threads';
import { asPrivateKey, Keyring, openSmall, SealedError, type PrivateKey } from '@bakker/impl-format/sealed';
import { openKeptZstd, serveJobs } from '@bakker/linux';

/** Contents to be opened. Nobody else looks at `clear`, and nobody writes to `stored`, until the answer. */
export interface OpenOrder {
  /** One behind the other. */
  readonly stored: SharedArrayBuffer;
  /** Two numbers for each content: its size in `stored`, and the size that it should have in the clear. */
  readonly contents: Uint32Array;
  /** For the contents, one behind the other, each with its size. */
  readonly clear: SharedArrayBuffer;
}

/** Of each content 1 if it is in its place; nothing is in the place of another. */
export type OpenAnswer = Uint8Array;

export interface OpenThreadData {
  readonly privateKeys: readonly Uint8Array[];
}

if (!isMainThread) {
  const { privateKeys } = workerData as OpenThreadData;
  const keys = privateKeys.map(asPrivateKey).filter((key): key is PrivateKey => key !== undefined);
  const keyring = new Keyring(keys);
  const frames = openKeptZstd();
  serveJobs(({ stored, contents, clear }: OpenOrder): OpenAnswer => {
    const isOpened = new Uint8Array(contents.length / 2);
    const out = Buffer.from(clear);
    let [from, to] = [0, 0];
    for (let index = 0; index < isOpened.length; index++) {
      const storedBytes = contents[2 * index] ?? 0;
      const mostBytes = contents[2 * index + 1] ?? 0;
      const content = openOr(Buffer.from(stored, from, storedBytes), { keyring, mostBytes, frames });
      if (content?.length === mostBytes) {
        content.copy(out, to);
        isOpened[index] = 1;
      }
      from += storedBytes;
      to += mostBytes;
    }
    return isOpened;
  });
}

/** Undefined if it does not open: the main thread tries it again, and says why. */
function openOr(stored: Buffer, options: Parameters<typeof openSmall>[1]): Buffer | undefined {
  try {
    return openSmall(stored, options);
  } catch (error) {
    if (error instanceof SealedError) return undefined;
    throw error;
  }
}
