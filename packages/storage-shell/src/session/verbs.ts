import {
  PROTOCOL_VERSIONS,
  MAX_GET_BYTES,
  VERB,
  encodeBeginReply,
  encodeBody,
  parseBeginRequest,
  parseEmptyRequest,
  parseHelloRequest,
  parseListRequest,
  parsePublishRequest,
  parseSpaceRequest,
  parseUsageRequest,
  parseVerdictsRequest,
} from '@bakker/impl-format/storage';
import type { HelloReply, ListReply, Verb } from '@bakker/impl-format/storage';
import { STATUS } from '@bakker/sftp/server';
import type { SftpReply } from '@bakker/sftp/server';
import { StorageError } from '../errors.ts';
import type { Account, NewRun } from '../ports/account.ts';
import { BodyReader } from './body-reader.ts';
import { getMany, runFile } from './get-files.ts';
import type { Handles } from './handles.ts';
import type { Rights } from './permissions.ts';
import { readPut } from './read-put.ts';

/** What verbs work on. */
export interface VerbContext {
  readonly account: Account;
  readonly handles: Handles;
  readonly rights: Rights;
  /** `bakker-storage 0.1.0`. */
  readonly program: string;
  nowMs(): number;
}

/** What follows the name of a verb. */
export interface VerbBody {
  readonly body: Buffer;
  /** Whether it lies in memory that nothing else looks at. */
  readonly isOwnMemory: boolean;
}

/** The verbs of docs/storage-protocol.md. Whether a session may ask for one was decided before. */
export class Verbs {
  readonly #context: VerbContext;
  #hasGreeted = false;
  #run: NewRun | undefined;
  #measured: Promise<unknown> = Promise.resolve();
  /** Where the begun run is: nothing is written after `publish`. */
  #stage: 'none' | 'open' | 'publishing' | 'published' = 'none';

  constructor(context: VerbContext) {
    this.#context = context;
  }

  /** Answers at once where it can. @throws StorageError, FormatProblem, errno errors */
  perform(verb: Verb, { body, isOwnMemory }: VerbBody): SftpReply | Promise<SftpReply> {
    if (verb === VERB.hello) return this.#hello(body);
    if (!this.#hasGreeted) throw new StorageError('OUT_OF_ORDER', 'hello comes first');
    switch (verb) {
      case VERB.put:
        return this.#put(isOwnMemory ? body : ownCopy(body));
      case VERB.tree:
        return this.#open().tree(body).then(extended);
      case VERB.create:
        return this.#create(body);
      case VERB.cloneFile:
        return this.#cloneFile(body);
      case VERB.hole:
        return this.#hole(body);
      case VERB.finish:
        return this.#finish(body);
      case VERB.restart: {
        const { file } = this.#context.handles.get(handleIn(body), 'new');
        this.#open();
        file.restart();
        return DONE;
      }
      case VERB.discard: {
        const handle = handleIn(body);
        const { file } = this.#context.handles.get(handle, 'new');
        this.#context.handles.drop(handle);
        file.discard();
        return DONE;
      }
      case VERB.manifest:
        return this.#manifest(body);
      case VERB.begin:
        return this.#begin(body);
      case VERB.publish:
        return this.#publish(body);
      case VERB.abandon:
        return this.#abandon(body);
      case VERB.cleanUp:
        return this.#cleanUp(body);
      case VERB.list:
        return json(this.#list(body));
      case VERB.get:
        return this.#get(body);
      case VERB.getMany:
        return extended(getMany(this.#context.account.reader, body));
      case VERB.space:
        parseEmptyRequest(jsonIn(body));
        return json(this.#context.account.space.figures());
      case VERB.verdicts:
        return this.#context.account.verdicts(parseVerdictsRequest(jsonIn(body))).then(json);
      case VERB.usage:
        return this.#usage(body);
      case VERB.requestSpace:
        return this.#context.account.space.request(parseSpaceRequest(jsonIn(body)).bytes).then(json);
    }
  }

  /** One after the other: each remembers every inode that it meets. */
  async #usage(body: Buffer): Promise<SftpReply> {
    const { runs } = parseUsageRequest(jsonIn(body));
    const measured = this.#measured.then(() => this.#context.account.usage(runs));
    this.#measured = measured.catch(() => undefined);
    return json(await measured);
  }

  #hello(body: Buffer): SftpReply {
    if (this.#hasGreeted) throw new StorageError('OUT_OF_ORDER', 'hello was said already');
    const { versions } = parseHelloRequest(jsonIn(body));
    const version = Math.max(...PROTOCOL_VERSIONS.filter((known) => versions.includes(known)));
    if (!Number.isFinite(version)) {
      throw new StorageError(
        'UNSUPPORTED',
        `this storage speaks version ${PROTOCOL_VERSIONS.join(', ')} of the protocol, not ${versions.join(', ')}`,
      );
    }
    const { account, rights, program } = this.#context;
    const reply: HelloReply = {
      version,
      program,
      account: account.name,
      role: rights.role,
      mayRead: rights.mayRead,
      identity: account.identity(),
      nowMs: this.#context.nowMs(),
      maxPathBytes: account.maxPathBytes,
      agentConfig: account.agentConfig(),
      frozen: account.frozen(),
    };
    this.#hasGreeted = true;
    return json(reply);
  }

  async #begin(body: Buffer): Promise<SftpReply> {
    const { parent } = parseBeginRequest(jsonIn(body));
    if (this.#stage !== 'none')
      throw new StorageError('OUT_OF_ORDER', 'this session has begun a run already');
    this.#run = await this.#context.account.begin(parent);
    this.#stage = 'open';
    return extended(string(encodeBeginReply(this.#run.begun)));
  }

  /** @param body - in memory of its own */
  async #put(body: Buffer): Promise<SftpReply> {
    const files = readPut(body);
    const run = this.#open();
    for (const { path } of files) this.#checkLength(path);
    return extended(await run.put(files, body.buffer as ArrayBuffer));
  }

  async #create(body: Buffer): Promise<SftpReply> {
    const reader = new BodyReader(body);
    const path = reader.path();
    reader.flags();
    const expectedBytes = reader.u64();
    reader.end();
    const run = this.#open();
    this.#checkLength(path);
    const { handles } = this.#context;
    using _promised = handles.promise();
    const file = await run.create(Buffer.from(path), expectedBytes);
    return extended(string(handles.add({ kind: 'new', file, isSecret: false })));
  }

  async #cloneFile(body: Buffer): Promise<SftpReply> {
    const reader = new BodyReader(body);
    const source = Buffer.from(reader.path());
    const path = Buffer.from(reader.path());
    const mostBytes = reader.u64OrMost();
    reader.end();
    const run = this.#open();
    this.#checkLength(path);
    const { handles, rights } = this.#context;
    using _promised = handles.promise();
    const slash = source.indexOf(SLASH);
    if (slash < 0) throw new StorageError('NOT_FOUND', 'the source is no path in a run');
    const from = { folder: source.toString('latin1', 0, slash), path: source.subarray(slash + 1) };
    const file = await run.cloneFile(from, path, mostBytes);
    return { type: 'handle', handle: handles.add({ kind: 'new', file, isSecret: !rights.mayRead }) };
  }

  #hole(body: Buffer): SftpReply {
    const reader = new BodyReader(body);
    const { file } = this.#context.handles.get(reader.string(), 'new');
    const offsetBytes = reader.u64();
    const lengthBytes = reader.u64();
    reader.end();
    this.#open();
    file.hole(offsetBytes, lengthBytes);
    return DONE;
  }

  async #finish(body: Buffer): Promise<SftpReply> {
    const reader = new BodyReader(body);
    const handle = Buffer.from(reader.string());
    const sizeBytes = reader.u64();
    const mtimeNs = reader.i64();
    const flags = reader.flags();
    reader.end();
    const { file, isSecret } = this.#context.handles.get(handle, 'new');
    this.#open();
    const digest = await file.finish(sizeBytes, { mtimeNs, ...flags });
    this.#context.handles.drop(handle);
    // Of a file that is known but for a byte, the hash tells the byte.
    return extended(isSecret ? NOTHING : digest);
  }

  async #manifest(body: Buffer): Promise<SftpReply> {
    const reader = new BodyReader(body);
    const kind = reader.u8();
    await this.#open().manifest(kind, reader.rest());
    return DONE;
  }

  async #publish(body: Buffer): Promise<SftpReply> {
    const request = parsePublishRequest(jsonIn(body));
    const run = this.#open();
    const { unfinished } = this.#context.handles;
    if (unfinished > 0) {
      throw new StorageError('OUT_OF_ORDER', `${unfinished} uploads are not finished`);
    }
    // From here on nothing is written any more, unless this fails.
    this.#stage = 'publishing';
    try {
      const reply = await run.publish(request);
      this.#stage = 'published';
      return json(reply);
    } catch (error) {
      this.#stage = 'open';
      throw this.#withoutFigures(error);
    }
  }

  /** Who may not read is not told how much of the past a script named: the figures would say it of each name. */
  #withoutFigures(error: unknown): unknown {
    const mayTell = this.#context.rights.mayRead;
    if (mayTell || !(error instanceof StorageError && error.code === 'COUNTS_DIFFER')) return error;
    return new StorageError('COUNTS_DIFFER', 'the run does not hold what was counted');
  }

  async #abandon(body: Buffer): Promise<SftpReply> {
    parseEmptyRequest(jsonIn(body));
    const run = this.#open();
    this.#stage = 'none';
    this.#run = undefined;
    for (const held of this.#context.handles.takeNew()) held.file.discard();
    await run.abandon();
    return json({});
  }

  async #cleanUp(body: Buffer): Promise<SftpReply> {
    parseEmptyRequest(jsonIn(body));
    if (this.#stage !== 'published' || this.#run === undefined) {
      throw new StorageError('OUT_OF_ORDER', 'this session has not published a run');
    }
    await this.#run.cleanUp();
    this.#stage = 'none';
    this.#run = undefined;
    return json({});
  }

  /** Receipts tell counts, sizes and digests: nothing for a key that may not read. */
  #list(body: Buffer): ListReply {
    const { account, rights } = this.#context;
    const asked = parseListRequest(jsonIn(body));
    return account.list(rights.mayRead ? asked : { ...asked, receipts: false });
  }

  #get(body: Buffer): SftpReply {
    const reader = new BodyReader(body);
    const path = reader.path();
    const mostBytes = Math.min(reader.u32(), MAX_GET_BYTES);
    reader.end();
    return extended(string(this.#context.account.reader.get(runFile(path), mostBytes)));
  }

  /** The run that may be written. @throws StorageError OUT_OF_ORDER */
  #open(): NewRun {
    if (this.#stage === 'open' && this.#run !== undefined) return this.#run;
    throw new StorageError(
      'OUT_OF_ORDER',
      this.#stage === 'none' ? 'no run is begun' : 'the run is published, nothing writes to it any more',
    );
  }

  #checkLength(path: Buffer): void {
    const { maxPathBytes } = this.#context.account;
    if (path.length <= maxPathBytes) return;
    throw new StorageError(
      'FAILED',
      `the path is longer than the ${maxPathBytes} bytes that this storage takes`,
    );
  }
}

const DONE: SftpReply = { type: 'status', code: STATUS.OK };
const NOTHING = Buffer.alloc(0);
const SLASH = 0x2f;

function extended(body: Buffer): SftpReply {
  return { type: 'extended', body };
}

/** A `json` body: its length, then its text. */
function json(value: object): SftpReply {
  return extended(string(encodeBody(value)));
}

function ownCopy(body: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(body.length);
  body.copy(copy);
  return copy;
}

function string(bytes: Buffer): Buffer {
  const result = Buffer.allocUnsafe(4 + bytes.length);
  result.writeUInt32BE(bytes.length);
  bytes.copy(result, 4);
  return result;
}

function jsonIn(body: Buffer): Buffer {
  const reader = new BodyReader(body);
  const text = reader.string();
  reader.end();
  return text;
}

function handleIn(body: Buffer): Buffer {
  return jsonIn(body);
}
