import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { openEnvelope, readEnvelope } from './envelope.ts';
import type { PrivateKey } from './key-pair.ts';

/** Each opened run key costs some hundred bytes; an account of years has fewer runs than this. */
const KEPT_RUN_KEYS = 4096;

/**
 * Private keys, and the run keys that they opened. Opening one is milliseconds of curve work, and a run's files share few,
 * so each is opened once: what is looked up is the whole envelope, so an altered one is another.
 */
export class Keyring {
  /** For a keyring on another thread. */
  readonly privateKeys: readonly PrivateKey[];
  readonly #opened = new Map<string, KeyObject>();
  #last: { readonly envelope: Buffer; readonly key: KeyObject } | undefined;

  constructor(privateKeys: readonly PrivateKey[]) {
    this.privateKeys = privateKeys;
  }

  /**
   * For the envelope that starts at `at`. Files that follow one another mostly have the same.
   *
   * @throws SealedError TRUNCATED, MALFORMED, KEY_MISSING or DAMAGED
   */
  runKeyAt(bytes: Buffer, at: number): { readonly key: KeyObject; readonly envelopeBytes: number } {
    const last = this.#last;
    if (last !== undefined && isAt(bytes, at, last.envelope))
      return { key: last.key, envelopeBytes: last.envelope.length };
    const envelope = readEnvelope(bytes, at);
    const key = this.runKey(envelope);
    this.#last = { envelope: Buffer.from(envelope), key };
    return { key, envelopeBytes: envelope.length };
  }

  /** @throws SealedError KEY_MISSING or DAMAGED */
  runKey(envelope: Buffer): KeyObject {
    const name = envelope.toString('latin1');
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const key = createSecretKey(openEnvelope(envelope, this.privateKeys));
    if (this.#opened.size >= KEPT_RUN_KEYS) this.#opened.clear();
    this.#opened.set(name, key);
    return key;
  }
}

function isAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  const end = at + wanted.length;
  return end <= bytes.length && bytes.compare(wanted, 0, wanted.length, at, end) === 0;
}
