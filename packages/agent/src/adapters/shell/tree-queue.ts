import { TreeScriptEncoder, VERB, decodeTreeOutcome } from '@bakker/impl-format';
import type { TreeFailureReason } from '@bakker/impl-format';
import type { Keeper, LinkOutcome } from '../../ports/storage-account.ts';
import { parseReply } from './verb-client.ts';
import type { VerbClient } from './verb-client.ts';

/** How long an operation waits for others to go with it. */
const GATHER_MS = 10;
/** Scripts that wait for their answer; each is about 128 KiB before it is packed. */
const SCRIPTS_IN_FLIGHT = 4;

/** What could not be linked, by the number of its operation in the script. */
type Failures = ReadonlyMap<number, TreeFailureReason>;

interface Batch {
  readonly done: Promise<Failures>;
  /** The same, for operations that can't fail by themselves: one promise for all of them. */
  readonly all: Promise<void>;
  readonly resolve: (failures: Failures) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers what a run's folder holds beside uploads into scripts: no round trip, and no message, for each. Scripts leave
 * when they are long enough, or after a moment.
 */
export class TreeQueue implements Keeper {
  readonly #verbs: VerbClient;
  readonly #script = new TreeScriptEncoder();
  readonly #inFlight = new Set<Promise<Failures>>();
  #batch: Batch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(verbs: VerbClient) {
    this.#verbs = verbs;
  }

  keepUntil(path: Buffer): void {
    this.#open();
    this.#script.keepUntil(path);
    this.#send(); // the storage has much to do, and should begin
  }

  skip(path: Buffer): void {
    this.#open();
    this.#script.skip(path);
    this.#sendIfFull();
  }

  keepRest(): void {
    this.#open();
    this.#script.keepRest();
    this.#send();
  }

  directory(path: Buffer): Promise<void> {
    const { all } = this.#open();
    this.#script.directory(path);
    this.#sendIfFull();
    return all;
  }

  symlink(path: Buffer, target: Buffer): Promise<void> {
    const { all } = this.#open();
    this.#script.symlink(path, target);
    this.#sendIfFull();
    return all;
  }

  /** @param folder - as in the script: a run, a token, empty for the parent */
  link(path: Buffer, folder: string, from: Buffer): Promise<LinkOutcome> {
    const { done } = this.#open();
    const number = this.#script.link(path, folder, from);
    this.#sendIfFull();
    return done.then((failures) => OUTCOMES[failures.get(number) ?? 'none']);
  }

  /** Undefined when there is room for more; else resolves when there is. Rejects with the first failure. */
  ready(): Promise<void> | undefined {
    if (!this.#failure && this.#inFlight.size < SCRIPTS_IN_FLIGHT) return undefined;
    return this.#below(SCRIPTS_IN_FLIGHT);
  }

  /** Sends what is left and waits for all answers. @throws the first failure */
  finish(): Promise<void> {
    this.#send();
    return this.#below(1);
  }

  #open(): Batch {
    if (this.#batch) return this.#batch;
    const { promise: done, resolve, reject } = Promise.withResolvers<Failures>();
    const all = done.then(() => undefined);
    all.catch(() => undefined); // the failure is told by `ready` and `finish` too
    this.#timer = setTimeout(() => this.#send(), GATHER_MS);
    return (this.#batch = { done, all, resolve, reject });
  }

  #sendIfFull(): void {
    if (this.#script.isFull) this.#send();
  }

  #send(): void {
    const batch = this.#batch;
    if (!batch) return;
    clearTimeout(this.#timer);
    this.#batch = undefined;
    const { opCount } = this.#script;
    const answer = this.#verbs.call(VERB.tree, this.#script.take()).then((body) => failuresIn(body, opCount));
    const { done } = batch;
    this.#inFlight.add(done);
    answer.then(batch.resolve, (error: unknown) => {
      this.#failure ??= { error };
      batch.reject(error);
    });
    const answered = () => {
      this.#inFlight.delete(done);
    };
    done.then(answered, answered);
  }

  async #below(count: number): Promise<void> {
    while (!this.#failure && this.#inFlight.size >= count) {
      await Promise.race(this.#inFlight).catch(() => undefined);
    }
    if (this.#failure) throw this.#failure.error;
  }
}

const OUTCOMES: Readonly<Record<TreeFailureReason | 'none', LinkOutcome>> = {
  none: 'linked',
  absent: 'missing',
  hurt: 'hurt',
  refused: 'refused',
};

const NONE: Failures = new Map();

function failuresIn(body: Buffer, operationCount: number): Failures {
  const outcome = parseReply(body, VERB.tree, (reply) => decodeTreeOutcome(reply, operationCount));
  return outcome.length === 0 ? NONE : new Map(outcome.map(({ operation, reason }) => [operation, reason]));
}
