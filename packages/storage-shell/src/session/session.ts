import { REFUSAL, VERB } from '@bakker/impl-format/storage';
import type { Verb } from '@bakker/impl-format/storage';
import { SftpRefusal } from '@bakker/sftp/server';
import type { SftpReply, SftpRequest, SftpService } from '@bakker/sftp/server';
import { Handles } from './handles.ts';
import { operationOf, ruleFor } from './permissions.ts';
import type { Operation } from './permissions.ts';
import { PlainRequests } from './plain-requests.ts';
import { refusalOf } from './refusals.ts';
import { Verbs } from './verbs.ts';
import type { VerbContext } from './verbs.ts';

/**
 * One session of an account: request → authorise → perform → reply. Requests that change the run's state as a whole
 * (`begin`, `publish`, …) have it to themselves: what was sent before is done before, what is sent after waits.
 */
export class Session implements SftpService, Disposable {
  readonly #context: VerbContext;
  readonly #handles: Handles;
  readonly #plain: PlainRequests;
  readonly #verbs: Verbs;
  /** What was begun and is not answered, in no order; nothing but a barrier waits for it. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Barriers one after the other, and what was sent after them. */
  #barriers: Promise<unknown> = Promise.resolve();
  #barrierCount = 0;

  constructor(context: Omit<VerbContext, 'handles'>) {
    this.#handles = new Handles();
    this.#context = { ...context, handles: this.#handles };
    this.#plain = new PlainRequests(context.account.reader, this.#handles);
    this.#verbs = new Verbs(this.#context);
  }

  /** @throws SftpRefusal; anything else is a fault of the storage */
  handle(request: SftpRequest): SftpReply | Promise<SftpReply> {
    try {
      const operation = this.#authorise(request);
      const order = ORDER[operation];
      if (order === undefined) return settled(this.#perform(operation, request));
      if (order === 'barrier') return this.#alone(operation, request).catch(refuse);
      if (this.#barrierCount > 0) {
        const turn = this.#barriers.then(() => this.#track(operation, request));
        return turn.catch(refuse);
      }
      return settled(this.#track(operation, request));
    } catch (error) {
      return refuse(error);
    }
  }

  /** Closes what the client left open. The begun run stays as it is. */
  [Symbol.dispose](): void {
    for (const held of this.#handles.takeAll()) {
      if (held.kind === 'folder') held.folder.close();
      else if (held.kind === 'file') held.file.close();
      else held.file.discard();
    }
  }

  /** No row, no service. */
  #authorise(request: SftpRequest): Operation {
    const operation = operationOf(request);
    if (operation === undefined) {
      const asked = request.type === 'extended' ? JSON.stringify(request.name.slice(0, 64)) : request.type;
      throw new SftpRefusal(REFUSAL.UNKNOWN_VERB, `this storage does not know ${asked}`);
    }
    const { role } = this.#context.rights;
    switch (ruleFor(operation, this.#context.rights)) {
      case 'yes':
      case 'own-handle': // without the right handle it fails in `Handles.get`
        return operation;
      case 'past':
        throw new SftpRefusal(
          REFUSAL.PAST_READ_ONLY,
          `${operation}: the past is read-only, and new runs are written by bakker's own verbs`,
        );
      case 'no':
        throw new SftpRefusal(
          REFUSAL.NOT_ALLOWED,
          `${operation}: a key with the role ${role} may not do this here`,
        );
    }
  }

  #perform(operation: Operation, request: SftpRequest): SftpReply | Promise<SftpReply> {
    if (request.type !== 'extended') return this.#plain.perform(request);
    return this.#verbs.perform(operation as Verb, request);
  }

  /** Begins it now. A barrier that comes later waits for its end. */
  #track(operation: Operation, request: SftpRequest): SftpReply | Promise<SftpReply> {
    const reply = this.#perform(operation, request);
    if (!(reply instanceof Promise)) return reply;
    this.#underWay.add(reply);
    const forget = () => this.#underWay.delete(reply);
    reply.then(forget, forget);
    return reply;
  }

  /** Begins it when all before has ended; what is sent later begins when it has ended. */
  async #alone(operation: Operation, request: SftpRequest): Promise<SftpReply> {
    this.#barrierCount++;
    const turn = this.#barriers.then(async () => {
      await Promise.allSettled(this.#underWay);
      return this.#perform(operation, request);
    });
    this.#barriers = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#barrierCount--;
    }
  }
}

/**
 * What may not overtake what: `in-turn` begins at once unless a barrier waits or is under way. Scripts and pieces of the
 * manifest keep their order themselves. All else concerns nothing that a verb changes.
 */
const ORDER: Partial<Record<Operation, 'barrier' | 'in-turn'>> = {
  [VERB.begin]: 'barrier',
  [VERB.publish]: 'barrier',
  [VERB.abandon]: 'barrier',
  [VERB.cleanUp]: 'barrier',
  [VERB.tree]: 'in-turn',
  [VERB.manifest]: 'in-turn',
  [VERB.put]: 'in-turn',
  [VERB.create]: 'in-turn',
  [VERB.cloneFile]: 'in-turn',
  [VERB.hole]: 'in-turn',
  [VERB.restart]: 'in-turn',
  [VERB.discard]: 'in-turn',
  [VERB.finish]: 'in-turn',
  write: 'in-turn',
  fsync: 'in-turn',
  fsetstat: 'in-turn',
};

function settled(reply: SftpReply | Promise<SftpReply>): SftpReply | Promise<SftpReply> {
  return reply instanceof Promise ? reply.catch(refuse) : reply;
}

function refuse(error: unknown): never {
  throw refusalOf(error) ?? error;
}
