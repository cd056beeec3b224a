import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';

/** A folder on the real disk, removed with what is in it: by rm, which takes paths of any length. */
export function temporaryFolder(name: string): Disposable & { readonly path: string } {
  const path = mkdtempSync(`/tmp/bakker-linux-${name}-`);
  return { path, [Symbol.dispose]: () => void execFileSync('rm', ['-rf', path]) };
}
