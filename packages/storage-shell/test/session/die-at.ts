import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { libc } from '@bakker/linux';

/*
 * Loaded before the program: kills it, as SIGKILL does, just before the effect on the disk whose number DIE_AT says.
 * Effects of the main thread only: which of the others' came first is no matter of order.
 */
const fatal = Number(process.env['DIE_AT']);
let effects = 0;

function mortal<Args extends unknown[], Result>(call: (...args: Args) => Result): (...args: Args) => Result {
  return (...args) => {
    effects++;
    if (effects === fatal) process.kill(process.pid, 'SIGKILL');
    return call(...args);
  };
}

if (isMainThread) {
  const calls = libc();
  calls.mkdirat = mortal(calls.mkdirat);
  calls.linkat = mortal(calls.linkat);
  calls.symlinkat = mortal(calls.symlinkat);
  calls.renameat2 = mortal(calls.renameat2);
  calls.unlinkat = mortal(calls.unlinkat);
  calls.fsetxattr = mortal(calls.fsetxattr);
  const openat = calls.openat;
  const creating = mortal(openat);
  calls.openat = (dirfd, path, flags, mode) =>
    ((flags & fs.constants.O_CREAT) === 0 ? openat : creating)(dirfd, path, flags, mode);
  fs.fchmodSync = mortal(fs.fchmodSync);
  fs.fsyncSync = mortal(fs.fsyncSync);
  syncBuiltinESMExports();
}
