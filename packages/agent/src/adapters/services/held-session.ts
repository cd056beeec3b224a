import { randomBytes } from 'node:crypto';
import { AgentError } from '../../errors.ts';
import { start } from './child.ts';
import type { Child, ChildOptions } from './child.ts';

interface Context {
  readonly signal: AbortSignal;
}

/**
 * A database's own client, kept open: what it locks is locked as long as its connection lives, and the connection dies with
 * the client, which dies with bakker.
 */
export class HeldSession {
  readonly #child: Child;
  readonly #abort: AbortController;
  readonly #name: string;
  #printed = '';
  #hasEnded = false;
  #onPrinted: () => void = () => undefined;

  /** Starts the client; the first `ask` shows whether it could connect. */
  static async open(options: Omit<ChildOptions, 'signal' | 'isPiped' | 'diesWithUs'>): Promise<HeldSession> {
    const abort = new AbortController();
    const child = await start({ ...options, isPiped: true, diesWithUs: true, signal: abort.signal });
    return new HeldSession(child, abort, options.argv[0] ?? '');
  }

  private constructor(child: Child, abort: AbortController, name: string) {
    this.#child = child;
    this.#abort = abort;
    this.#name = name;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#printed += text;
      this.#onPrinted();
    });
    const end = (): void => {
      this.#hasEnded = true;
      this.#onPrinted();
    };
    child.ended.then(end, end);
  }

  /** Whether the connection is gone, as far as the client knows. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Runs statements and waits until the server has done them all.
   *
   * @param sql - whole statements, each with its semicolon
   * @returns the lines that they printed
   * @throws AgentError QUIESCE_FAILED with what the client said; the session has ended then
   */
  async ask(sql: string, { signal }: Context): Promise<string[]> {
    const token = `bakker-${randomBytes(8).toString('hex')}`;
    const closing = `${token}\n`;
    this.#printed = '';
    this.#child.stdin?.write(`${sql}\nSELECT '${token}';\n`);
    const onAbort = (): void => this.#onPrinted();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!this.#printed.endsWith(closing)) {
        if (signal.aborted) await this.#stop();
        if (this.#hasEnded) await this.#child.ended;
        if (this.#hasEnded) throw new AgentError('QUIESCE_FAILED', `${this.#name} ended by itself`);
        await new Promise<void>((resolve) => {
          this.#onPrinted = resolve;
          // what came between looking and waiting
          if (signal.aborted || this.#hasEnded || this.#printed.endsWith(closing)) resolve();
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return this.#printed.slice(0, -closing.length).split('\n').slice(0, -1);
  }

  /** Ends the connection in order, or the client if it does not end. */
  async close({ signal }: Context): Promise<void> {
    const onAbort = (): void => this.#abort.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      this.#child.stdin?.end();
      await this.#child.ended;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the client at once. */
  async kill(): Promise<void> {
    this.#child.kill();
    await this.#child.ended.catch(() => undefined);
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    await this.#child.ended;
  }
}
