import { closeSync, ftruncateSync, unlinkSync, write } from 'node:fs';
import type { Placing, Refusal, TargetFile } from '../../ports/restore-target.ts';
import { setAttributes, type Subject } from './attributes.ts';
import { giveName } from './names.ts';

/** A file that is written beside its name; the writes run on Node's threads, so that the connection is read meanwhile. */
export class LargeFile implements TargetFile {
  readonly #fd: number;
  readonly #temporary: Buffer;
  readonly #final: Buffer;
  readonly #subject: Subject;
  readonly #onWritten: (bytes: number) => void;
  #state: 'open' | 'committed' | 'closed' = 'open';

  constructor(made: {
    fd: number;
    temporary: Buffer;
    final: Buffer;
    subject: Subject;
    onWritten: (bytes: number) => void;
  }) {
    this.#fd = made.fd;
    this.#temporary = made.temporary;
    this.#final = made.final;
    this.#subject = made.subject;
    this.#onWritten = made.onWritten;
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;)
      done += await writeSome(this.#fd, bytes.subarray(done), offsetBytes + done);
    this.#onWritten(bytes.length);
  }

  commit(sizeBytes: number, { attributes, replaces }: Placing): readonly Refusal[] {
    ftruncateSync(this.#fd, sizeBytes);
    const refusals = setAttributes(this.#subject, attributes);
    giveName(this.#temporary, this.#final, replaces);
    this.#state = 'committed';
    return refusals;
  }

  [Symbol.dispose](): void {
    if (this.#state === 'closed') return;
    const isLeftOver = this.#state === 'open';
    this.#state = 'closed';
    closeSync(this.#fd);
    if (isLeftOver) unlinkSync(this.#temporary);
  }
}

function writeSome(fd: number, bytes: Buffer, offsetBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, offsetBytes, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}
