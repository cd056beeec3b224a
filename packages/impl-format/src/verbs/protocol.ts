/** The extension that a storage's VERSION packet announces, and the suffix of each verb's name. */
export const PROTOCOL_EXTENSION = 'bakker';
/** The versions of docs/storage-protocol.md that this program speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** The verbs, by the names that an EXTENDED request has. */
export const VERB = {
  hello: 'hello@bakker',
  list: 'list@bakker',
  begin: 'begin@bakker',
  tree: 'tree@bakker',
  put: 'put@bakker',
  create: 'create@bakker',
  /** Announced by a name of its own, with `CLONE_FILE_VERSION`; answered with a HANDLE. `hole` comes with it. */
  cloneFile: 'clone-file@bakker',
  hole: 'hole@bakker',
  restart: 'restart@bakker',
  discard: 'discard@bakker',
  finish: 'finish@bakker',
  manifest: 'manifest@bakker',
  publish: 'publish@bakker',
  abandon: 'abandon@bakker',
  cleanUp: 'clean-up@bakker',
  get: 'get@bakker',
  /** Announced by a name of its own, with `GET_MANY_VERSION`. */
  getMany: 'get-many@bakker',
  space: 'space@bakker',
  usage: 'usage@bakker',
  verdicts: 'verdicts@bakker',
  requestSpace: 'request-space@bakker',
} as const;
export type Verb = (typeof VERB)[keyof typeof VERB];

/** Status codes of a refusal. Never reused for another meaning. */
export const REFUSAL = {
  NOT_THERE: 2,
  NOT_ALLOWED: 3,
  FAILED: 4,
  SENSELESS: 5,
  UNKNOWN_VERB: 8,
  TAKEN: 11,
  PAST_READ_ONLY: 12,
  DISK_FULL: 14,
  LIMIT_REACHED: 15,
  LOCKED: 17,
  PARENT_CHANGED: 1001,
  COUNTS_DIFFER: 1002,
  MANIFEST_DIFFERS: 1003,
} as const;
export type RefusalName = keyof typeof REFUSAL;
export type RefusalStatus = (typeof REFUSAL)[RefusalName];

/** Flags of `put`, `create` and `finish`. */
export const FILE_FLAG = { EXECUTABLE: 1, FLUSH: 2 } as const;

/** What the extension `clone-file@bakker` says in VERSION. */
export const CLONE_FILE_VERSION = '1';

/** What the extension `get-many@bakker` says in VERSION. */
export const GET_MANY_VERSION = '1';
/** The most files that one `get-many` asks for. */
export const MAX_GET_FILES = 256;
/** The longest reply of `get` and of `get-many`: it has to fit in a packet. */
export const MAX_GET_BYTES = 255 * 1024;

/** The most that the contents of one `put` have together, and the most files that it stores. */
export const MAX_PUT_BYTES = 255 * 1024;
export const MAX_PUT_FILES = 1024;
/** The most that a tree script, or one piece of a manifest's delta, has before it is compressed. */
export const MAX_SCRIPT_BYTES = 1024 * 1024;
/** The most runs that one answer to `list` has. */
export const MAX_LISTED_RUNS = 500;

/** The most runs that one answer to `verdicts` has. */
export const MAX_JUDGED_RUNS = 100;

/** `kind` of a piece of a manifest; `START_OVER` is added to the first piece of another attempt. */
export const MANIFEST_PIECE = { FILE: 1, DELTA: 2, START_OVER: 0x80 } as const;
/** How often the `from` of `moved` may lie before the one of the last `moved`, in one manifest. */
export const MAX_MANIFEST_RESTARTS = 64;
