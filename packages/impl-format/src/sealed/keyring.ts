import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { openEnvelope } from './envelope.ts';
import type { PrivateKey } from './key-pair.ts';

/** Each opened run key costs some hundred bytes; an account of years has fewer runs than this. */
const KEPT_RUN_KEYS = 4096;

/**
 * Private keys, and the run keys that they opened. Opening one is milliseconds of curve work, and a run's files share few,
 * so each is opened once: what is looked up is the whole envelope, so an altered one is another.
 */
export class Keyring {
  readonly #privateKeys: readonly PrivateKey[];
  readonly #opened = new Map<string, KeyObject>();

  constructor(privateKeys: readonly PrivateKey[]) {
    this.#privateKeys = privateKeys;
  }

  /** @throws SealedError KEY_MISSING or DAMAGED */
  runKey(envelope: Buffer): KeyObject {
    const name = envelope.toString('latin1');
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const key = createSecretKey(openEnvelope(envelope, this.#privateKeys));
    if (this.#opened.size >= KEPT_RUN_KEYS) this.#opened.clear();
    this.#opened.set(name, key);
    return key;
  }
}
