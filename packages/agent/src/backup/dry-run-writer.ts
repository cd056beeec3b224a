import { nextRunName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import type { FileSink, RunWriter } from '../ports/storage-account.ts';

/** Takes everything and keeps nothing: `--dry-run` reads and compares as a run would, and writes nowhere. */
export function dryRunWriter(existing: readonly RunName[], nowMs: number): RunWriter {
  const sink: FileSink = {
    write: async () => undefined,
    restart: async () => undefined,
    finish: async () => undefined,
    discard: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return {
    run: nextRunName(existing, nowMs),
    folder: 'dry-run',
    carriedFolders: [],
    maxPathBytes: 4095,
    ready: () => undefined,
    directory: async () => undefined,
    symlink: async () => true,
    link: async () => 'linked',
    file: async () => undefined,
    openFile: async () => sink,
    publish: async () => undefined,
    cleanUp: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
