import type { Clock } from '../ports/clock.ts';
import type { SourceTree } from '../ports/source-tree.ts';

/** Often enough that a snapshot that overflowed ends a long run early, seldom enough to cost nothing. */
const CHECK_EVERY_MS = 30_000;

/** Looks now and then, while it is scanned, whether the tree is still what it was. @throws from `scan` what `check` throws */
export function checkedTree(
  tree: SourceTree,
  { check, clock }: { check: () => Promise<void>; clock: Clock },
): SourceTree {
  return {
    ...tree,
    scan: async function* (plan, survey, options) {
      let checkedAtMs = clock.nowMs();
      for await (const batch of tree.scan(plan, survey, options)) {
        if (clock.nowMs() - checkedAtMs >= CHECK_EVERY_MS) {
          await check();
          checkedAtMs = clock.nowMs();
        }
        yield batch;
      }
    },
  };
}
