import type { AccountRecord } from './account-record.ts';
import { fileStep } from './file-steps.ts';
import type { Groups } from './groups.ts';
import { keyFile, staleKeyFiles } from './registry.ts';
import type { Registry } from './registry.ts';
import type { Step } from './steps.ts';
import { mustFindUser } from './user-steps.ts';

/** A step for each key file that the change makes out of date; that of `own` in any case, so that it is told of. */
export async function keyFileSteps(
  registry: Registry,
  change: { own?: AccountRecord; records: readonly AccountRecord[]; groups?: Groups },
): Promise<Step[]> {
  const { system, places } = registry;
  const stale = await staleKeyFiles(registry, change);
  const steps: Step[] = [];
  for (const { record, text } of stale) {
    // An account whose user somebody deleted must not keep the others from being changed.
    if (record !== change.own && (await system.user(record.name)) === undefined) continue;
    steps.push(
      fileStep(system, {
        title: `write the keys of ${record.name}`,
        path: keyFile(places, record.name),
        text: () => text,
        options: async () => ({ mode: 0o640, gid: (await mustFindUser(system, record.name)).gid }),
        lines: text.trimEnd().split('\n'),
      }),
    );
  }
  return steps;
}
