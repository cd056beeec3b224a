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
  // Functions of libc, with no `this`.
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const { mkdirat, linkat, symlinkat, renameat2, unlinkat, fsetxattr, openat } = { ...calls };
  const creating = mortal(openat);
  Object.assign(calls, {
    mkdirat: mortal(mkdirat),
    linkat: mortal(linkat),
    symlinkat: mortal(symlinkat),
    renameat2: mortal(renameat2),
    unlinkat: mortal(unlinkat),
    fsetxattr: mortal(fsetxattr),
    openat: (...args: Parameters<typeof openat>) =>
      ((args[2] & fs.constants.O_CREAT) === 0 ? openat : creating)(...args),
  });
  fs.fchmodSync = mortal(fs.fchmodSync);
  fs.fsyncSync = mortal(fs.fsyncSync);
  syncBuiltinESMExports();
}
