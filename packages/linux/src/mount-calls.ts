import { LibcError, cString, fail, libc } from './libc.ts';

/** Options of a mount point beside what the file system itself takes. */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;

export interface NewMount {
  /** Device or name, as mount(2) takes it. */
  readonly source: string;
  readonly at: Buffer;
  readonly type: string;
  /** `MS_…` */
  readonly flags: number;
  /** Options of the file system itself: `nouuid`. */
  readonly options?: string;
}

/** Mounts a file system; on another thread, because replaying a journal takes its time. Rejects with LibcError. */
export function mountFilesystem({ source, at, type, flags, options = '' }: NewMount): Promise<void> {
  const parts = { source: cString(source), at: cString(at), type: cString(type), data: cString(options) };
  return new Promise((resolve, reject) => {
    libc().mountLater(parts, flags, (errno) => {
      if (errno === 0) resolve();
      else reject(new LibcError('mount', errno, at));
    });
  });
}

/**
 * Shows a folder or file at another place, without what is mounted below it. What is mounted below the new place later does
 * not appear at the old one, nor the other way round.
 *
 * @throws LibcError
 */
export function bindMount(from: Buffer, to: Buffer): void {
  mount({ source: from, at: to, flags: MS_BIND });
  // Cut off from the mount it was taken from; then a group of its own, so that namespaces which copy it see it go.
  mount({ source: NONE, at: to, flags: MS_PRIVATE });
  mount({ source: NONE, at: to, flags: MS_SHARED });
}

/** Forbids writing through a mount point, whatever the file system allows. @throws LibcError */
export function makeReadOnly(at: Buffer): void {
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mount({ source: NONE, at, flags });
}

/** Cuts a mount off from those it shares its mounts with. @throws LibcError */
export function makePrivate(at: Buffer): void {
  mount({ source: NONE, at, flags: MS_PRIVATE });
}

/**
 * Takes the topmost mount off a mount point; a symlink is not followed.
 *
 * @param options - `isLazy`: at once, though it is in use; it goes when its last user does
 * @returns false if nothing is mounted there
 * @throws LibcError `EBUSY`
 */
export function unmount(at: Buffer, options: { isLazy?: boolean } = {}): boolean {
  const flags = UMOUNT_NOFOLLOW | (options.isLazy === true ? MNT_DETACH : 0);
  if (libc().umount2(cString(at), flags) === 0) return true;
  const errno = libc().errno();
  return errno === EINVAL || errno === ENOENT ? false : fail('umount2', at);
}

const NONE = Buffer.from('none');
const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_PRIVATE = 1 << 18;
const MS_SHARED = 1 << 20;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const EINVAL = 22;
const ENOENT = 2;

function mount({ source, at, flags }: { source: Buffer; at: Buffer; flags: number }): void {
  if (libc().mount(cString(source), cString(at), cString(''), flags, cString('')) < 0) fail('mount', at);
}
