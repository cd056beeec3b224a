import type { Entry } from '@bakker/impl-format';
import t from 'tap';
import { freezeReason } from '../../src/backup/guards.ts';
import { Tally } from '../../src/backup/tally.ts';

const entry = (path: string): Entry => ({
  ...{ path: Buffer.from(path), type: 'file', sizeBytes: 1, mode: 0o644, uid: 0, gid: 0 },
  ...{ mtimeNs: 1n, ctimeNs: 1n, inode: 1n, filesystem: 0, linkCount: 1, stored: { kind: 'own' } },
});

interface Counted {
  readonly before: number;
  readonly gone?: number;
  readonly changed?: number;
  /** Of those that are gone: found by their inode, and by their content. */
  readonly movedAway?: number;
  readonly movedFrom?: number;
}

function tallyOf({ before, gone = 0, changed = 0, movedAway = 0, movedFrom = 0 }: Counted): Tally {
  const tally = new Tally();
  for (let index = 0; index < before; index++) tally.countBefore(entry(`${index}`));
  for (let index = 0; index < gone; index++) tally.countVanished(entry(`${index}`));
  for (let index = 0; index < changed; index++) tally.count(entry(`${index}`), 'changed');
  for (let index = 0; index < movedAway; index++) tally.countMovedAway();
  for (let index = 0; index < movedFrom; index++) tally.countMovedFrom(Buffer.from(`${index}`));
  return tally;
}

t.test('a run in which more than its share is gone or rewritten makes retention stand still', async (t) => {
  const half = { freezeGoneShare: 0.5, freezeChangedShare: 0.5 };
  const cases: readonly (readonly [Counted, string | undefined])[] = [
    [{ before: 99, gone: 99, changed: 99 }, undefined],
    [{ before: 100, gone: 50, changed: 50 }, undefined],
    [{ before: 100, gone: 51 }, '51 of 100 files were gone'],
    [{ before: 100, changed: 51 }, '51 of 100 files were rewritten'],
    [{ before: 100, gone: 60, movedAway: 5, movedFrom: 5 }, undefined],
    [{ before: 100, gone: 61, movedAway: 5, movedFrom: 5 }, '51 of 100 files were gone'],
  ];
  for (const [counted, reason] of cases)
    t.equal(freezeReason(tallyOf(counted), half), reason, JSON.stringify(counted));
  const never = { freezeGoneShare: 1, freezeChangedShare: 1 };
  t.equal(freezeReason(tallyOf({ before: 100, gone: 100, changed: 100 }), never), undefined);
});
