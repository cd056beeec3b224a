import { escapeName } from '@bakker/command-line';
import { MAX_PUT_BYTES, MAX_PUT_FILES, VERB } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type { NewFile } from '../../ports/storage-account.ts';
import { putHeadBytes, putHeads } from './body-writer.ts';
import type { PutFile } from './body-writer.ts';
import { flagsOf, mtimeOf, storedOtherwise } from './new-file-sink.ts';
import { TurnBatch } from '../turn-batch.ts';
import type { VerbClient } from './verb-client.ts';

const DIGEST_BYTES = 32;

interface Waiting extends PutFile {
  readonly sha256: Buffer | undefined;
  readonly stored: PromiseWithResolvers<void>;
}

/** Sends small files that come in one turn of the event loop together: a message for each would cost more than most of them. */
export class PutQueue {
  readonly #verbs: VerbClient;
  /** Heads counted with the contents: the message stays a packet that every storage takes. */
  readonly #waiting = new TurnBatch<Waiting>({ bytes: MAX_PUT_BYTES, items: MAX_PUT_FILES }, (files) =>
    this.#send(files),
  );

  constructor(verbs: VerbClient) {
    this.#verbs = verbs;
  }

  /** @throws StoredOtherwise; what `VerbClient.explained` makes of a refusal, for each file of the message */
  add(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    const stored = Promise.withResolvers<void>();
    const head = { path, content, mtimeNs: mtimeOf(about), flags: flagsOf(about) };
    this.#waiting.add({ ...head, sha256: about.sha256, stored }, putHeadBytes(path) + content.length);
    return stored.promise;
  }

  #send(files: readonly Waiting[]): void {
    const [first] = files;
    if (first === undefined) return;
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
