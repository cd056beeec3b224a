import { fail, hasCode, libc } from './libc.ts';

/**
 * Whether nobody reads any more what is written to a pipe or socket: its other end is closed altogether. Found out without
 * reading or writing, so also while nothing is taken from the stream.
 *
 * @throws LibcError
 */
export function hasHungUp(fd: number): boolean {
  const descriptor = Buffer.alloc(POLLFD_BYTES);
  descriptor.writeInt32LE(fd);
  // POLLERR and POLLHUP are told unasked.
  for (;;) {
    if (libc().poll(descriptor, 1, 0) >= 0) break;
    try {
      fail('poll');
    } catch (error) {
      if (!hasCode(error, 'EINTR')) throw error;
    }
  }
  return (descriptor.readInt16LE(EVENTS_FOUND_AT) & (POLLERR | POLLHUP | POLLNVAL)) !== 0;
}

/** `struct pollfd`: descriptor, events asked for, events found. */
const POLLFD_BYTES = 8;
const EVENTS_FOUND_AT = 6;
const POLLERR = 8;
const POLLHUP = 16;
const POLLNVAL = 32;
