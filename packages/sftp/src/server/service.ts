import type { Duplex, Readable, Writable } from 'node:stream';
import type { Attributes } from '../attributes.ts';
import type { FileSystemStatus, ServerLimits } from '../replies.ts';

/**
 * Decides on and carries out what a client asks. Requests come strictly in the order that they were received; the next may
 * come before the promise of the one before has settled, and replies may settle in any order.
 */
export interface SftpService {
  /**
   * Answers at once where it can (nothing is allocated for the wait), else by a promise. What it throws or rejects with
   * is answered by STATUS: `SftpRefusal` as it says, anything else as FAILURE without details.
   */
  handle(request: SftpRequest): SftpReply | Promise<SftpReply>;
}

/**
 * A request that is well-formed: paths have no NUL, handles 1 to 256 bytes, offsets and sizes are integers up to 2^53 - 1.
 * All Buffers are views of the input, good until the request is answered: what is kept longer must be copied.
 */
export type SftpRequest =
  | OpenRequest
  | ReadRequest
  | WriteRequest
  | PathRequest
  | HandleRequest
  | PathAttributesRequest
  | HandleAttributesRequest
  | TwoPathsRequest
  | SymlinkRequest
  | CopyDataRequest
  | LimitsRequest
  | ExtendedRequest;

export interface OpenRequest {
  readonly type: 'open';
  readonly path: Buffer;
  /** Of `OPEN`, or-ed; unknown bits are passed on. */
  readonly flags: number;
  readonly attributes: Attributes;
}

export interface ReadRequest {
  readonly type: 'read';
  readonly handle: Buffer;
  readonly offset: number;
  /** At most `MAX_WRITE_BYTES`, whatever was asked for: a reply may have fewer bytes than asked. */
  readonly length: number;
}

export interface WriteRequest {
  readonly type: 'write';
  readonly handle: Buffer;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** `statvfs` is answered by a reply of that type, `realpath` and `readlink` by a path, `opendir` by a handle. */
export interface PathRequest {
  readonly type: 'lstat' | 'stat' | 'opendir' | 'remove' | 'rmdir' | 'realpath' | 'readlink' | 'statvfs';
  readonly path: Buffer;
}

/** `readdir` is answered by names, or by a status of EOF after the last. */
export interface HandleRequest {
  readonly type: 'close' | 'fstat' | 'readdir' | 'fsync' | 'fstatvfs';
  readonly handle: Buffer;
}

export interface PathAttributesRequest {
  /** `lsetstat` does not follow a symlink. */
  readonly type: 'setstat' | 'lsetstat' | 'mkdir';
  readonly path: Buffer;
  readonly attributes: Attributes;
}

export interface HandleAttributesRequest {
  readonly type: 'fsetstat';
  readonly handle: Buffer;
  readonly attributes: Attributes;
}

export interface TwoPathsRequest {
  /** `rename` must fail if `to` is there, `posix-rename` replaces it. `hardlink`: `from` exists, `to` is the further name. */
  readonly type: 'rename' | 'posix-rename' | 'hardlink';
  readonly from: Buffer;
  readonly to: Buffer;
}

export interface SymlinkRequest {
  readonly type: 'symlink';
  /** What the symlink says. It comes first on the wire, as OpenSSH has it. */
  readonly target: Buffer;
  readonly path: Buffer;
}

export interface CopyDataRequest {
  readonly type: 'copy-data';
  readonly from: Buffer;
  readonly fromOffset: number;
  /** 0: up to the end of the file. */
  readonly length: number;
  readonly to: Buffer;
  readonly toOffset: number;
}

export interface LimitsRequest {
  readonly type: 'limits';
}

/** Any other EXTENDED request. */
export interface ExtendedRequest {
  readonly type: 'extended';
  /** As on the wire, each byte a character. */
  readonly name: string;
  /** All that follows the name. */
  readonly body: Buffer;
  /** Whether `body` lies in memory that nothing else looks at: it may be moved to another thread. */
  readonly isOwnMemory: boolean;
}

/** The caller answers for the kind that the request asks for; a status fits every request. */
export type SftpReply =
  | StatusReply
  | HandleReply
  | DataReply
  | NamesReply
  | PathReply
  | AttributesReply
  | StatvfsReply
  | LimitsReply
  | ExtendedReply;

export interface StatusReply {
  readonly type: 'status';
  /** Of `STATUS`, or a number that both sides agreed on. */
  readonly code: number;
  /** A sentence for people; words of our own if there is none. At most 4 KiB are sent. */
  readonly message?: string;
}

export interface HandleReply {
  readonly type: 'handle';
  /** 1 to 256 bytes. */
  readonly handle: Buffer;
}

/** Large bytes are sent without a copy: they must not change before they were sent. At the end of a file a status of EOF. */
export interface DataReply {
  readonly type: 'data';
  readonly bytes: Buffer;
}

/** The next names of a folder, at least one. They must fit in one packet of the client's: OpenSSH sends 100 at a time. */
export interface NamesReply {
  readonly type: 'names';
  readonly items: readonly NamedItem[];
}

export interface NamedItem {
  readonly name: Buffer;
  readonly attributes: Attributes;
  /** A line like that of `ls -l` is made of the rest if there is none. */
  readonly longName?: Buffer | undefined;
  /** For the line; `?` if there is none. */
  readonly linkCount?: number | undefined;
}

/** The one name that REALPATH and READLINK ask for. */
export interface PathReply {
  readonly type: 'path';
  readonly path: Buffer;
}

export interface AttributesReply {
  readonly type: 'attributes';
  readonly attributes: Attributes;
}

export interface StatvfsReply {
  readonly type: 'statvfs';
  readonly status: FileSystemStatus;
}

export interface LimitsReply {
  readonly type: 'limits';
  readonly limits: ServerLimits;
}

/** EXTENDED_REPLY with the body as it is; large ones are sent without a copy, as data are. */
export interface ExtendedReply {
  readonly type: 'extended';
  readonly body: Buffer;
}

/** Where requests come from and replies go to. `serveSftp(streams, service, options)` returns a session. */
export type ServerStreams = Duplex | { readonly input: Readable; readonly output: Writable };

/** What the session tells whoever serves it. */
export interface SftpSession {
  /**
   * Resolves when the client ended its side, everything was answered and the output took it. Rejects with
   * SftpSessionError when the streams break, the client breaks the protocol, or `abort` was called. Settles only when no
   * promise of the service is under way any more.
   */
  readonly finished: Promise<void>;
  /** Aborts at the moment the session fails: long work for nobody may stop. */
  readonly signal: AbortSignal;
  /** Requests whose promise has not settled. */
  readonly pending: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Ends the session now: nothing more is read, unsent replies are dropped, both streams are destroyed. */
  abort(reason: string): void;
}

export interface ServeSftpOptions {
  /** Announced in VERSION, in this order: name and data. None unless given: a service says what it serves. */
  readonly extensions?: readonly (readonly [name: string, data: string])[] | undefined;
  /** Longest request taken (without its length field); a longer one ends the session. 272 KiB unless given. */
  readonly maxPacketBytes?: number | undefined;
  /** So many promises at most are under way, then reading stops. 256 unless given. */
  readonly maxPendingRequests?: number | undefined;
  /** So many bytes of requests, and of data asked for, at most are under way. 8 MiB unless given. */
  readonly maxPendingBytes?: number | undefined;
  /** While the output holds more than that, nothing is handed to the service. 1 MiB unless given. */
  readonly maxUnsentBytes?: number | undefined;
  /** Told of what the service threw that was no SftpRefusal; the client hears only of a failure. */
  readonly onServiceError?: ((error: unknown, request: SftpRequest) => void) | undefined;
}
