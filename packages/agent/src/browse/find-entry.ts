import { isAtOrBelow, parentPath, type Entry, type ManifestReader, type RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import { literalPaths } from '../restore/path-pattern.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { openManifest } from './open-manifest.ts';

/** What a path is in a run. */
export interface FoundPath {
  /** Undefined for the root, which is no entry. */
  readonly entry: Entry | undefined;
  /** What lies directly in it, in manifest order; empty for anything but a folder. */
  readonly children: readonly Entry[];
}

/**
 * Looks a path up in a run; reads its manifest no further than needed. Holds the entries of that folder.
 *
 * @param text - absolute, as typed
 * @returns undefined if the run does not have it
 * @throws AgentError USAGE, MANIFEST_DAMAGED
 */
export async function lookUp(
  account: StorageAccount,
  { run, path: text }: { readonly run: RunName; readonly path: string },
): Promise<FoundPath | undefined> {
  const candidates = literalPaths(text);
  await using manifest = await openManifest(account, run);
  return await search(manifest, candidates);
}

/** Like `lookUp`. @throws AgentError PATH_NOT_FOUND */
export async function mustFind(
  account: StorageAccount,
  place: { readonly run: RunName; readonly path: string },
): Promise<FoundPath> {
  const found = await lookUp(account, place);
  if (found !== undefined) return found;
  throw new AgentError('PATH_NOT_FOUND', `${place.run} has nothing at ${place.path}`, {
    hint: `look for it with: bakker find NAME, or bakker ls ${place.run} /`,
  });
}

async function search(
  manifest: ManifestReader,
  candidates: readonly Buffer[],
): Promise<FoundPath | undefined> {
  let folder = candidates.find((candidate) => candidate.length === 0);
  let found: Entry | undefined;
  const children: Entry[] = [];
  for await (const batch of manifest.batches()) {
    for (const entry of batch) {
      if (folder === undefined) {
        folder = candidates.find((candidate) => candidate.equals(entry.path));
        if (folder !== undefined) found = entry;
      } else if (!isAtOrBelow(entry.path, folder)) {
        return { entry: found, children };
      } else if (parentPath(entry.path).equals(folder)) children.push(entry);
    }
  }
  return folder === undefined ? undefined : { entry: found, children };
}
