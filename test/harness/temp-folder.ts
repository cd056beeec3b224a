import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

export interface TempFolder extends AsyncDisposable {
  readonly path: string;
}

/** A new folder below `parent`, removed when disposed or when this process ends. Readable by its owner only. */
export async function makeTempFolder(name: string, parent = tmpdir()): Promise<TempFolder> {
  const path = await mkdtemp(join(parent, `bakker-${name}-`));
  const forget = atExit(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return {
    path,
    async [Symbol.asyncDispose]() {
      forget();
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
