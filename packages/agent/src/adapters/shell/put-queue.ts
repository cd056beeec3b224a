import { escapeName } from '@bakker/command-line';
import { MAX_PUT_BYTES, MAX_PUT_FILES, VERB } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type { NewFile } from '../../ports/storage-account.ts';
import { putHeadBytes, putHeads } from './body-writer.ts';
import type { PutFile } from './body-writer.ts';
import { flagsOf, mtimeOf, storedOtherwise } from './new-file-sink.ts';
import type { VerbClient } from './verb-client.ts';

const DIGEST_BYTES = 32;

interface Waiting extends PutFile {
  readonly sha256: Buffer | undefined;
  readonly stored: PromiseWithResolvers<void>;
}

/** Sends small files that come in one turn of the event loop together: a message for each would cost more than most of them. */
export class PutQueue {
  readonly #verbs: VerbClient;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  constructor(verbs: VerbClient) {
    this.#verbs = verbs;
  }

  /** @throws StoredOtherwise; what `VerbClient.explained` makes of a refusal, for each file of the message */
  add(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    const bytes = putHeadBytes(path) + content.length;
    // Heads counted with the contents: the message stays a packet that every storage takes.
    if (this.#waitingBytes + bytes > MAX_PUT_BYTES || this.#waiting.length === MAX_PUT_FILES) this.#send();
    // After all that is going on now: the files of a batch come one after the other.
    if (this.#waiting.length === 0) process.nextTick(() => this.#send());
    const stored = Promise.withResolvers<void>();
    this.#waiting.push({
      ...{ path, content, mtimeNs: mtimeOf(about), flags: flagsOf(about) },
      sha256: about.sha256,
      stored,
    });
    this.#waitingBytes += bytes;
    return stored.promise;
  }

  #send(): void {
    const files = this.#waiting;
    const [first] = files;
    if (first === undefined) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const others = files.length === 1 ? '' : `, or one of the ${files.length - 1} files after it`;
    const what = `write ${escapeName(first.path)}${others}`;
    const contents = files.length === 1 ? first.content : Buffer.concat(files.map(({ content }) => content));
    this.#verbs.call(VERB.put, putHeads(files), contents, what).then(
      (digests) => {
        files.forEach((file, index) => settle(file, digests.subarray(index * DIGEST_BYTES)));
      },
      (error: unknown) => {
        for (const { stored } of files) stored.reject(error);
      },
    );
  }
}

function settle({ path, content, sha256, stored }: Waiting, digests: Buffer): void {
  const sent = sha256 ?? createHash('sha256').update(content).digest();
  if (digests.length >= DIGEST_BYTES && digests.compare(sent, 0, DIGEST_BYTES, 0, DIGEST_BYTES) === 0)
    stored.resolve();
  else stored.reject(storedOtherwise(path));
}
