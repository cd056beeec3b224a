import { hash } from 'node:crypto';
import { isMainThread, workerData } from 'node:worker_threads';
import { SmallSealer, type RunKey } from '@bakker/impl-format/sealed';
import { openKeptZstd, serveJobs } from '@bakker/linux';

/** Contents to be sealed. Nobody else looks at `sealed`, and nobody writes to `clear`, until the answer. */
export interface SealOrder {
  readonly clear: SharedArrayBuffer;
  /** Two numbers for each content: where it starts in `clear`, and its size. */
  readonly contents: Uint32Array;
  /** For what they become, one behind the other. */
  readonly sealed: SharedArrayBuffer;
}

export interface SealAnswer {
  /** Where each ends in `sealed`. */
  readonly ends: Uint32Array;
  /** 32 bytes for each; none if that was not asked for. */
  readonly sha256: Uint8Array;
}

export interface SealThreadData {
  readonly runKey: RunKey;
  readonly isHashed: boolean;
}

export const DIGEST_BYTES = 32;

if (!isMainThread) {
  const { runKey, isHashed } = workerData as SealThreadData;
  const envelope = Buffer.from(runKey.envelope); // a Uint8Array when it arrives here
  const sealer = new SmallSealer({ ...runKey, envelope }, openKeptZstd());
  serveJobs((order: SealOrder) => sealAll(sealer, isHashed, order));
}

function sealAll(sealer: SmallSealer, isHashed: boolean, { clear, contents, sealed }: SealOrder): SealAnswer {
  const count = contents.length / 2;
  const ends = new Uint32Array(count);
  const sha256 = Buffer.alloc(isHashed ? count * DIGEST_BYTES : 0);
  let end = 0;
  for (let index = 0; index < count; index++) {
    const content = Buffer.from(clear, contents[2 * index], contents[2 * index + 1]);
    const start = end;
    const bytes = sealer.seal(content, true, (sizeBytes) => Buffer.from(sealed, start, sizeBytes));
    end += bytes.length;
    ends[index] = end;
    // as text: a Buffer for each would take longer to make
    if (isHashed) sha256.write(hash('sha256', bytes, 'binary'), index * DIGEST_BYTES, 'binary');
  }
  return { ends, sha256 };
}
