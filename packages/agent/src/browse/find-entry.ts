import { isAtOrBelow, parentPath, type Entry, type ManifestReader, type RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import { literalPaths } from '../restore/path-pattern.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { openManifest } from './open-manifest.ts';

/** What a path is in a run. */
export interface FoundPath {
  /** Undefined for the root, which is no entry. */
  readonly entry: Entry | undefined;
}

/** What is sought, and who is told of what lies directly in it, in manifest order. */
export interface SoughtPath {
  readonly run: RunName;
  /** Absolute, as typed. */
  readonly path: string;
  /** Without it, what is behind the path itself is not read. */
  readonly onChild?: (entry: Entry) => Promise<void>;
}

/**
 * Looks a path up in a run; reads its manifest no further than needed.
 *
 * @returns undefined if the run does not have it
 * @throws AgentError USAGE, MANIFEST_DAMAGED
 */
export async function lookUp(
  account: StorageAccount,
  { run, path: text, onChild }: SoughtPath,
): Promise<FoundPath | undefined> {
  const candidates = literalPaths(text);
  await using manifest = await openManifest(account, run);
  return await search(manifest, candidates, onChild);
}

/** Like `lookUp`. @throws AgentError PATH_NOT_FOUND */
export async function mustFind(account: StorageAccount, place: SoughtPath): Promise<FoundPath> {
  const found = await lookUp(account, place);
  if (found !== undefined) return found;
  throw new AgentError('PATH_NOT_FOUND', `${place.run} has nothing at ${place.path}`, {
    hint: `look for it with: bakker find NAME, or bakker ls ${place.run} /`,
  });
}

async function search(
  manifest: ManifestReader,
  candidates: readonly Buffer[],
  onChild: SoughtPath['onChild'],
): Promise<FoundPath | undefined> {
  let folder = candidates.find((candidate) => candidate.length === 0);
  if (folder !== undefined && onChild === undefined) return { entry: undefined };
  let found: Entry | undefined;
  for await (const batch of manifest.batches()) {
    for (const entry of batch) {
      if (folder === undefined) {
        folder = candidates.find((candidate) => candidate.equals(entry.path));
        if (folder !== undefined) found = entry;
        if (found !== undefined && onChild === undefined) return { entry: found };
      } else if (!isAtOrBelow(entry.path, folder)) {
        return { entry: found };
      } else if (parentPath(entry.path).equals(folder)) await onChild?.(entry);
    }
  }
  return folder === undefined ? undefined : { entry: found };
}
