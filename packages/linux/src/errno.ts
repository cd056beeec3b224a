import { constants } from 'node:os';

/** `EACCES` for 13. Errors that have no name in Node's table, nor here, are `ERRNO_` and the number. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `ERRNO_${errno}`;
}

/**
 * The errno name of a system error, Node's or ours; undefined for any other error. Node's own `code` is no name for what
 * it does not know, such as a damaged file system or a quota that is used up: `Unknown system error -122`, or `UNKNOWN`.
 */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined;
  if (!/^(UNKNOWN$|Unknown system error)/.test(error.code)) return error.code;
  return 'errno' in error && typeof error.errno === 'number' ? errnoName(Math.abs(error.errno)) : 'EIO';
}

/** Whether `error` is a system error with one of the errno names. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = errnoOf(error);
  return code !== undefined && codes.includes(code);
}

/** Those of Linux that Node does not list, and that file systems answer (errno(3)). Same numbers on x64 and arm64. */
const OTHERS = {
  ECHRNG: 44,
  ENONET: 64,
  EREMOTE: 66,
  ECOMM: 70,
  EUCLEAN: 117,
  EREMOTEIO: 121,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EHWPOISON: 133,
};
const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(OTHERS).map(([name, number]) => [number, name] as const),
  // Of two names for one number (EAGAIN and EWOULDBLOCK, ENOTSUP and EOPNOTSUPP) the one that libuv, and so Node, uses.
  ...Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'EOPNOTSUPP')
    .map(([name, number]) => [number, name] as const),
]);
