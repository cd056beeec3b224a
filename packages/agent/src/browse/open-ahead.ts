import type { ManifestReader, RunName } from '@bakker/impl-format';
import type { StorageAccount } from '../ports/storage-account.ts';
import { openManifest } from './open-manifest.ts';

/** A manifest that is being opened; rejects as `openManifest` does. Whoever is handed it disposes of it. */
export interface OpeningManifest {
  readonly run: RunName;
  readonly manifest: Promise<ManifestReader>;
}

/**
 * The manifests of runs, one after the other, while the next few are asked for: on a long line most of the time is for the first
 * answer. The first is opened alone, since a key may have to be asked for. Holds the beginnings of a few manifests.
 */
export async function* openAhead(
  account: StorageAccount,
  runs: readonly RunName[],
): AsyncGenerator<OpeningManifest> {
  const opening: OpeningManifest[] = [];
  let atOnce = 1;
  let next = 0;
  try {
    for (;;) {
      for (; opening.length < atOnce; next++) {
        const run = runs[next];
        if (run === undefined) break;
        const manifest = openManifest(account, run);
        manifest.catch(() => undefined); // whoever it is handed to sees the failure
        opening.push({ run, manifest });
      }
      const first = opening.shift();
      if (first === undefined) return;
      if (atOnce === 1) await Promise.allSettled([first.manifest]);
      atOnce = MOST_AT_ONCE;
      yield first;
    }
  } finally {
    for (const { manifest } of opening) {
      const reader = await manifest.catch(() => undefined);
      await reader?.[Symbol.asyncDispose]();
    }
  }
}

const MOST_AT_ONCE = 4;
