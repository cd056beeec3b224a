import type { Block } from './block-feed.ts';
import type { Verdict } from './block-diff.ts';

/** A file that is made from an older one. Stretches come in ascending order. */
export interface PatchTarget {
  keep(offsetBytes: number, lengthBytes: number): Promise<void>;
  zero(offsetBytes: number, lengthBytes: number): Promise<void>;
  write(offsetBytes: number, bytes: Buffer): Promise<void>;
}

/** A stretch that is kept goes in parts of this size: the storage copies while more is read. */
const MOST_KEPT_BYTES = 16 * 1024 * 1024;
/** Stretches that wait for the first change. */
const MOST_HELD = 1024;

type Pending =
  | { readonly kind: 'keep' | 'zero'; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly kind: 'write'; readonly offsetBytes: number; readonly bytes: Buffer };

/**
 * Tells a target what becomes of each block; neighbours go together. The target is asked for with the first change. Zeros that
 * were zeros before are told only to one that asks for that.
 */
export class PatchWriter {
  readonly #open: () => Promise<PatchTarget>;
  readonly #tellsZeros: boolean;
  readonly #held: Pending[] = [];
  #target: PatchTarget | undefined;
  #pending: Pending | undefined;

  constructor(open: () => Promise<PatchTarget>, { tellsZeros }: { tellsZeros: boolean }) {
    this.#open = open;
    this.#tellsZeros = tellsZeros;
  }

  /** Has the target made now: that something changed is known. */
  async start(): Promise<void> {
    this.#target ??= await this.#open();
  }

  /** Undefined if there is nothing to wait for. The bytes of a block to be written are the target's from here on. */
  take(verdict: Verdict, block: Block): Promise<void> | undefined {
    const isChange = verdict === 'zero' || verdict === 'write';
    const kind = verdict === 'nothing' && this.#tellsZeros ? 'zero' : verdict;
    const isPassed = kind === 'nothing' || kind === 'there';
    if (isPassed && this.#pending === undefined) return undefined;
    const mustStart = isChange && this.#target === undefined;
    if (!mustStart && this.#joins(kind, block)) return undefined;
    return this.#takeNext(kind, block, mustStart);
  }

  /** Tells what is left. */
  async end(): Promise<void> {
    if (this.#target !== undefined) await this.#flush();
  }

  /** Makes the block part of what is pending, if it follows that. */
  #joins(verdict: Verdict, { offsetBytes, lengthBytes, bytes }: Block): boolean {
    const pending = this.#pending;
    if (pending?.kind !== verdict) return false;
    if (pending.kind === 'write') {
      if (bytes === undefined || pending.offsetBytes + pending.bytes.length !== offsetBytes) return false;
      const { buffer, byteOffset, length } = pending.bytes;
      if (bytes.buffer !== buffer || bytes.byteOffset !== byteOffset + length) return false;
      const joined = Buffer.from(buffer, byteOffset, length + bytes.length);
      this.#pending = { kind: 'write', offsetBytes: pending.offsetBytes, bytes: joined };
      return true;
    }
    if (pending.offsetBytes + pending.lengthBytes !== offsetBytes) return false;
    // before the first change nobody copies anything: it may grow
    if (
      pending.kind === 'keep' &&
      this.#target !== undefined &&
      pending.lengthBytes + lengthBytes > MOST_KEPT_BYTES
    )
      return false;
    this.#pending = { ...pending, lengthBytes: pending.lengthBytes + lengthBytes };
    return true;
  }

  async #takeNext(
    verdict: Verdict,
    { offsetBytes, lengthBytes, bytes }: Block,
    mustStart: boolean,
  ): Promise<void> {
    if (mustStart) await this.start();
    if (this.#target !== undefined) await this.#flush();
    // stretches that are kept, apart by zeros, before the first change
    else if (this.#pending !== undefined) {
      this.#held.push(this.#pending);
      this.#pending = undefined;
      if (this.#held.length === MOST_HELD) await this.start();
    }
    if (verdict === 'nothing' || verdict === 'there') return;
    if (verdict === 'write') {
      if (bytes === undefined) throw new Error('a hole is not written');
      this.#pending = { kind: 'write', offsetBytes, bytes };
    } else this.#pending = { kind: verdict, offsetBytes, lengthBytes };
  }

  async #flush(): Promise<void> {
    for (const held of this.#held.splice(0)) await this.#tell(held);
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending) await this.#tell(pending);
  }

  async #tell(told: Pending): Promise<void> {
    const target = this.#target;
    if (!target) throw new Error('there is no file to write to yet');
    if (told.kind === 'write') return target.write(told.offsetBytes, told.bytes);
    if (told.kind === 'zero') return target.zero(told.offsetBytes, told.lengthBytes);
    const endBytes = told.offsetBytes + told.lengthBytes;
    for (let offsetBytes = told.offsetBytes; offsetBytes < endBytes; offsetBytes += MOST_KEPT_BYTES) {
      await target.keep(offsetBytes, Math.min(MOST_KEPT_BYTES, endBytes - offsetBytes));
    }
  }
}
