import type { System } from '../ports/system.ts';
import type { AccountRecord } from './account-record.ts';
import { renderRecord } from './account-record.ts';
import { fileStep } from './file-steps.ts';
import type { Groups } from './groups.ts';
import { keyFileSteps } from './key-file-steps.ts';
import { readRecords, recordFile } from './registry.ts';
import type { Registry } from './registry.ts';
import type { Step } from './steps.ts';

/** Writes changed records, then the key files that follow from them. */
export async function recordChangeSteps(
  registry: Registry,
  change: { changed: readonly AccountRecord[]; groups?: Groups; title: string },
): Promise<Step[]> {
  const { system, places } = registry;
  const { changed, groups } = change;
  const records = (await readRecords(registry)).map(
    (record) => changed.find(({ name }) => name === record.name) ?? record,
  );
  return [
    ...changed.map((record) =>
      recordStep(system, { title: change.title, path: recordFile(places, record.name), record }),
    ),
    ...(await keyFileSteps(registry, { records, ...(groups === undefined ? {} : { groups }) })),
  ];
}

export function recordStep(
  system: System,
  { title, path, record }: { title: string; path: string; record: AccountRecord },
): Step {
  return fileStep(system, {
    title,
    path,
    text: () => renderRecord(record),
    options: () => ({ mode: 0o600 }),
  });
}

/** Where going back would be worse than stopping half-way: a call that is repeated goes on. */
export function withoutUndo(step: Step): Step {
  return {
    title: step.title,
    lines: step.lines,
    isDone: () => step.isDone(),
    do: () => step.do(),
  };
}
