import type { KeyObject } from 'node:crypto';
import { sealInto, TAG_BYTES } from './aead.ts';
import { compressIfSmaller } from './compress.ts';
import { CHUNK_BITS, encodePrefix, PREFIX_BYTES, SALT_BYTES } from './container.ts';
import type { PackedKind } from './container.ts';
import { nodeFrames } from './frames.ts';
import type { ZstdFrames } from './frames.ts';
import { fillFresh } from './fresh-random.ts';
import { packedHeaderSizeBytes, packedSizeBytes, PackedSeals } from './packed.ts';
import { envelopeRecipients } from './envelope.ts';

const CHUNK_BYTES = 2 ** CHUNK_BITS;

/** A run key, ready to seal with. */
export interface RunKey {
  readonly key: KeyObject;
  readonly envelope: Buffer;
}

/** What a stream of pieces is: `zstd` if they are one frame that is undone when it is opened. */
export type StreamForm = 'as it is' | 'zstd' | 'manifest';

type Allocate = (sizeBytes: number) => Buffer;

const allocateNew: Allocate = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes);

/** Seals whole contents, each with one call. */
export class SmallSealer {
  readonly #key: KeyObject;
  readonly #plainHeader: Buffer;
  readonly #compressedHeader: Buffer;
  readonly #recipientCount: number;
  readonly #frames: ZstdFrames;

  constructor({ key, envelope }: RunKey, frames: ZstdFrames = nodeFrames) {
    this.#key = key;
    this.#frames = frames;
    this.#plainHeader = headerTemplate(envelope, 'as it is');
    this.#compressedHeader = headerTemplate(envelope, 'zstd');
    this.#recipientCount = envelopeRecipients(envelope).length;
  }

  /** What a content takes at the most. */
  mostBytes(contentBytes: number): number {
    return packedSizeBytes(contentBytes, this.#recipientCount);
  }

  /**
   * All that is to be stored, in memory that `allocate` gives. Compressed if `mayCompress` and that saves storage.
   */
  seal(content: Buffer, mayCompress: boolean, allocate: Allocate = allocateNew): Buffer {
    const overheadBytes = packedHeaderSizeBytes(this.#recipientCount) + TAG_BYTES;
    const compressed = mayCompress
      ? compressIfSmaller(content, { overheadBytes, frames: this.#frames })
      : undefined;
    const plain = compressed ?? content;
    const template = compressed === undefined ? this.#plainHeader : this.#compressedHeader;
    const out = allocate(this.mostBytes(plain.length));
    let at = template.copy(out);
    fillFresh(out, PREFIX_BYTES, SALT_BYTES);
    const seals = new PackedSeals(this.#key, { kind: 'packed', header: out.subarray(0, at) });
    let from = 0;
    do {
      const to = Math.min(from + CHUNK_BYTES, plain.length);
      at = sealInto(out, at, plain.subarray(from, to), seals.next(to === plain.length));
      from = to;
    } while (from < plain.length);
    return out;
  }
}

/** Seals content that comes in pieces. Holds at most one chunk of it. */
export class PackedStream {
  readonly #seals: PackedSeals;
  readonly #held = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #heldBytes = 0;
  #header: Buffer | undefined;
  #isFinished = false;

  constructor({ key, envelope }: RunKey, form: StreamForm) {
    const header = headerTemplate(envelope, form);
    fillFresh(header, PREFIX_BYTES, SALT_BYTES);
    this.#header = header;
    this.#seals = new PackedSeals(key, { kind: kindOf(form), header });
  }

  /** Takes a piece of any size, and gives what is ready to be stored: often nothing. */
  push(piece: Uint8Array): Buffer[] {
    if (this.#isFinished) throw new Error('the sealed stream is finished: nothing can be added');
    const ready = this.#takeHeader();
    let rest = piece;
    while (rest.length > 0) {
      // a full chunk waits until more comes: only then it is not the last
      if (this.#heldBytes === CHUNK_BYTES) ready.push(this.#seal(false));
      const part = rest.subarray(0, CHUNK_BYTES - this.#heldBytes);
      this.#held.set(part, this.#heldBytes);
      this.#heldBytes += part.length;
      rest = rest.subarray(part.length);
    }
    return ready;
  }

  /** The last bytes. */
  finish(): Buffer[] {
    if (this.#isFinished) throw new Error('the sealed stream is finished already');
    this.#isFinished = true;
    return [...this.#takeHeader(), this.#seal(true)];
  }

  #takeHeader(): Buffer[] {
    const header = this.#header;
    this.#header = undefined;
    return header === undefined ? [] : [header];
  }

  #seal(isLast: boolean): Buffer {
    const out = Buffer.allocUnsafeSlow(this.#heldBytes + TAG_BYTES);
    sealInto(out, 0, this.#held.subarray(0, this.#heldBytes), this.#seals.next(isLast));
    this.#heldBytes = 0;
    return out;
  }
}

/** The header with room for the salt. */
function headerTemplate(envelope: Buffer, form: StreamForm): Buffer {
  const prefix = encodePrefix({ kind: kindOf(form), isCompressed: form === 'zstd' });
  return Buffer.concat([prefix, Buffer.alloc(SALT_BYTES), envelope]);
}

function kindOf(form: StreamForm): PackedKind {
  return form === 'manifest' ? 'manifest' : 'packed';
}
