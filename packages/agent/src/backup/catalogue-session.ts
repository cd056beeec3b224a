import { readManifest } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import type { Catalogue, StateFolder } from '../ports/state-folder.ts';
import type { Parent } from './choose-parent.ts';
import { storedPath } from './stored-place.ts';
import { inodeKeyOf } from './lasting-inode.ts';

/**
 * Opens the catalogue and makes it true for this account: rows that point at what is no longer there go, and if the
 * parent's content is not all in it, the parent's manifest fills it.
 */
export async function openCatalogue(options: {
  state: StateFolder;
  /** Name of what can be linked to each other: another one begins an empty catalogue. */
  identity: string;
  /** Complete runs on the storage, oldest first. */
  runs: readonly RunName[];
  /** Tokens of unfinished runs whose content can be linked. */
  carried: readonly string[];
  parent: Parent | undefined;
}): Promise<Catalogue> {
  const { state, identity, runs, carried, parent } = options;
  const catalogue = await state.catalogue(identity);
  // runs may have read files and left no note here: the state is an older copy, or another one made them
  if (catalogue.covers() !== runs.at(-1)) catalogue.doubtBirths();
  const there = new Set<string>([...runs, ...carried]);
  for (const folder of catalogue.folders()) {
    if (there.has(folder)) continue;
    const published = await parent?.receipt();
    // published, but killed before it was noted here
    if (published?.token === folder) catalogue.renameFolder(folder, published.run);
    else {
      catalogue.forgetFolder(folder);
      catalogue.setCovers(undefined);
    }
  }
  if (parent && catalogue.covers() !== parent.run) await addAll(catalogue, parent);
  return catalogue;
}

async function addAll(catalogue: Catalogue, parent: Parent): Promise<void> {
  await using reader = await readManifest(parent.manifest(), { source: `${parent.run}.impl` });
  const { filesystems } = reader.header;
  for await (const batch of reader.batches()) {
    for (const entry of batch) {
      const path = storedPath(entry);
      const filesystem = filesystems[entry.filesystem];
      if (entry.type !== 'file' || entry.sizeBytes === 0 || !entry.sha256 || !path || !filesystem) continue;
      if (catalogue.byContent(entry.sizeBytes, entry.sha256)) continue;
      const { sealedBytes, sha256 } = entry;
      const key = inodeKeyOf(entry, filesystem);
      catalogue.add({ ...key, folder: parent.run, path, sha256, sealedBytes });
    }
  }
  catalogue.setCovers(parent.run);
}
