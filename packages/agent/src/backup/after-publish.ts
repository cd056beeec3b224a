import type { RunName } from '@bakker/impl-format';
import type { StateFolder } from '../ports/state-folder.ts';
import type { RunWriter } from '../ports/storage-account.ts';
import type { LazyCatalogue } from './lazy-catalogue.ts';

/*
 * The run is published whatever happens here.
 */

/** The run is there, whatever became of the notes of it: the next one finds out again what it has to. */
export function notKept(run: string, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `run ${run} is published, but what this server remembers of it could not be kept: ${reason}`;
}

/** What the run brought is found under its name from now on, and all of its content is known. */
export async function noteContents(from: {
  catalogue: LazyCatalogue;
  state: StateFolder;
  identity: Promise<string>;
  writer: RunWriter;
  /** The newest run before this one. */
  last: RunName | undefined;
}): Promise<void> {
  const { writer, last } = from;
  if (from.catalogue.opened) {
    from.catalogue.opened.renameFolder(writer.folder, writer.run);
    from.catalogue.opened.setCovers(writer.run);
    return;
  }
  // nothing was new: what covered the last run covers this one
  using catalogue = await from.state.catalogue(await from.identity);
  if (last !== undefined && catalogue.covers() === last) catalogue.setCovers(writer.run);
}

/** The run is published whatever happens here: what is left is removed by a later run. */
export async function tidy(
  writer: RunWriter,
  { signal, onWarning }: { signal: AbortSignal; onWarning: (text: string) => void },
): Promise<void> {
  try {
    await writer.cleanUp({ signal });
  } catch (error) {
    if (signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    onWarning(`what an unfinished run had left is not removed yet: ${reason}; the next run does it`);
  }
}
