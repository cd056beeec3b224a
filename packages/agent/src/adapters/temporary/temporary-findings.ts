import type { Findings } from '../../ports/findings.ts';
import { TemporaryHits } from './temporary-hits.ts';

/** SQLite is loaded where it is needed: by few commands, and for many rows. */
export const temporaryFindings: Findings = {
  hits: () => new TemporaryHits(),
  differences: async () => new (await import('./temporary-differences.ts')).TemporaryDifferences(),
};
