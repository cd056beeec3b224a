import { LibcError, fail, libc } from './libc.ts';

/** Makes all of one open file share the blocks of another. False where the file systems can't. @throws LibcError */
export function reflink(fromFd: number, toFd: number): boolean {
  if (libc().ioctlInt(toFd, FICLONE, fromFd) === 0) return true;
  return CANNOT.has(libc().errno()) ? false : fail('ioctl FICLONE');
}

/**
 * Copies inside the kernel (shared blocks where the file system can).
 *
 * @returns bytes copied, 0 at the end of the file; undefined where these files can't be copied so
 * @throws LibcError
 */
export function copyRange(
  from: { fd: number; offsetBytes: number },
  to: { fd: number; offsetBytes: number },
  lengthBytes: number,
): number | undefined {
  const fromOffset = offset(from.offsetBytes);
  const toOffset = offset(to.offsetBytes);
  const copied = libc().copy_file_range(from.fd, fromOffset, to.fd, toOffset, lengthBytes, 0);
  if (copied >= 0) return copied;
  return CANNOT.has(libc().errno()) ? undefined : fail('copy_file_range');
}

/** As `copyRange`, to the same offset, on another thread. The descriptors must stay open until it ends. */
export function copyStretchLater(
  fromFd: number,
  toFd: number,
  { offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number },
): Promise<number | undefined> {
  const offsets = [offset(offsetBytes), offset(offsetBytes)] as const;
  return new Promise((resolve, reject) => {
    libc().copyFileRangeLater({ fromFd, toFd, offsets }, lengthBytes, (copied, errno) => {
      if (copied >= 0) resolve(copied);
      else if (CANNOT.has(errno)) resolve(undefined);
      else reject(new LibcError('copy_file_range', errno));
    });
  });
}

const FICLONE = 0x40049409;
/** EXDEV, EINVAL, ENOTTY, ETXTBSY, EOPNOTSUPP, ENOSYS: another way has to be taken. */
const CANNOT: ReadonlySet<number> = new Set([18, 22, 25, 26, 95, 38]);

function offset(bytes: number): Buffer {
  const result = Buffer.alloc(8);
  result.writeBigInt64LE(BigInt(bytes));
  return result;
}
