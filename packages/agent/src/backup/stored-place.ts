import type { Entry, Stored } from '@bakker/impl-format';
import { createHash } from 'node:crypto';

/** Where in a run's folder files lie whose own path is too long for the storage. */
const LONG_PATHS_FOLDER = '.bakker-long-paths';

/** Path below the run's folder at which an entry's content lies; undefined when only the manifest has it. */
export function storedPath(entry: Entry): Buffer | undefined {
  switch (entry.stored.kind) {
    case 'own':
      return entry.stored.at ?? entry.path;
    case 'elsewhere':
      return entry.stored.at;
    case 'manifest':
      return undefined;
  }
}

/** How an entry is stored: at its own path if the storage takes it, a file elsewhere, the rest in the manifest alone. */
export function chooseStored(entry: Entry, maxPathBytes: number): Stored {
  if (entry.type === 'fifo' || entry.type === 'socket' || entry.type === 'char' || entry.type === 'block') {
    return { kind: 'manifest' };
  }
  if (entry.path.length <= maxPathBytes) return entry.stored.kind === 'own' ? entry.stored : { kind: 'own' };
  if (entry.type !== 'file') return { kind: 'manifest' };
  return longPathPlace(entry.path);
}

/** Where a file lies whose path is too long. */
export function longPathPlace(path: Buffer): Stored {
  const name = createHash('sha256').update(path).digest('hex');
  return { kind: 'elsewhere', at: Buffer.from(`${LONG_PATHS_FOLDER}/${name}`) };
}

/** What an entry says of the bytes that its content takes where it lies sealed. */
export function sealedAs(sealedBytes: number | undefined): Pick<Entry, 'sealedBytes'> {
  return sealedBytes === undefined ? {} : { sealedBytes };
}

export const LONG_PATHS_FOLDER_PATH = Buffer.from(LONG_PATHS_FOLDER);
