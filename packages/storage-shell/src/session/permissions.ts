import { VERB } from '@bakker/impl-format/storage';
import type { Role, Verb } from '@bakker/impl-format/storage';
import { OPEN } from '@bakker/sftp/server';
import type { SftpRequest } from '@bakker/sftp/server';

/** What a session may do, by its forced command. */
export interface Rights {
  readonly role: Role;
  readonly mayRead: boolean;
}

/**
 * - `yes`
 * - `if-may-read`: not with `--no-read`
 * - `own-handle`: only on a handle that this session was given, for what it was given for
 * - `past`: it would change what is there, and only verbs write, each only new things
 * - `no`: the role may not do this
 */
export type Rule = 'yes' | 'if-may-read' | 'own-handle' | 'past' | 'no';

/** What of a request decides: its kind, and for OPEN whether it asks for more than reading. */
export type Operation = Exclude<SftpRequest['type'], 'open' | 'extended'> | 'open-read' | 'open-write' | Verb;

interface Row {
  readonly backup: Rule;
  readonly restore: Rule;
}

const everybody: Row = { backup: 'yes', restore: 'yes' };
const readers: Row = { backup: 'if-may-read', restore: 'if-may-read' };
const onHandle: Row = { backup: 'own-handle', restore: 'own-handle' };
const writers: Row = { backup: 'yes', restore: 'no' };
const writersOnHandle: Row = { backup: 'own-handle', restore: 'no' };
const past: Row = { backup: 'past', restore: 'no' };

/** The one table. What has no row is refused. */
export const PERMISSIONS: Readonly<Record<Operation, Row>> = {
  realpath: everybody,
  limits: everybody,
  statvfs: everybody,
  lstat: readers,
  stat: readers,
  readlink: readers,
  opendir: readers,
  'open-read': readers,
  close: onHandle,
  fstat: onHandle,
  fstatvfs: onHandle,
  readdir: onHandle,
  read: onHandle,

  'open-write': past,
  write: writersOnHandle,
  fsync: writersOnHandle,
  fsetstat: writersOnHandle,
  setstat: past,
  lsetstat: past,
  mkdir: past,
  rmdir: past,
  remove: past,
  rename: past,
  'posix-rename': past,
  hardlink: past,
  symlink: past,
  'copy-data': past,

  [VERB.hello]: everybody,
  [VERB.list]: everybody,
  [VERB.space]: everybody,
  [VERB.verdicts]: everybody,
  [VERB.get]: readers,
  [VERB.getMany]: readers,
  [VERB.usage]: readers,
  [VERB.begin]: writers,
  [VERB.tree]: writers,
  [VERB.put]: writers,
  [VERB.create]: writers,
  [VERB.cloneFile]: writers,
  [VERB.hole]: writersOnHandle,
  [VERB.restart]: writersOnHandle,
  [VERB.discard]: writersOnHandle,
  [VERB.finish]: writersOnHandle,
  [VERB.manifest]: writers,
  [VERB.publish]: writers,
  [VERB.abandon]: writers,
  [VERB.cleanUp]: writers,
  [VERB.requestSpace]: writers,
};

/** The row that a request is looked up by; undefined for what is not known at all. */
export function operationOf(request: SftpRequest): Operation | undefined {
  if (request.type === 'open') return request.flags === OPEN.READ ? 'open-read' : 'open-write';
  if (request.type !== 'extended') return request.type;
  return VERBS.get(request.name);
}

/** Whether, and on which terms, a session may do it. */
export function ruleFor(
  operation: Operation,
  { role, mayRead }: Rights,
): 'yes' | 'own-handle' | 'past' | 'no' {
  // An operation without a row is no Operation, but a value at run time is whatever it is.
  const rule = Object.hasOwn(PERMISSIONS, operation) ? PERMISSIONS[operation][role] : 'no';
  if (rule !== 'if-may-read') return rule;
  return mayRead ? 'yes' : 'no';
}

const VERBS: ReadonlyMap<string, Verb> = new Map(Object.values(VERB).map((verb) => [verb, verb]));
