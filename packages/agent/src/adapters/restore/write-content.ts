import { ftruncateSync, writeSync } from 'node:fs';
import type { Extent } from '@bakker/impl-format';

/** Writes a small file whole; with `extents`, only those, and the rest stays a hole. @throws the errno error */
export function writeContent(
  fd: number,
  { bytes, extents }: { readonly bytes: Buffer; readonly extents?: readonly Extent[] | undefined },
): void {
  if (extents === undefined) {
    writeAt(fd, bytes, 0);
    return;
  }
  ftruncateSync(fd, bytes.length);
  for (const { offsetBytes, lengthBytes } of extents)
    writeAt(fd, bytes.subarray(offsetBytes, offsetBytes + lengthBytes), offsetBytes);
}

function writeAt(fd: number, bytes: Buffer, offsetBytes: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, offsetBytes + done);
}
