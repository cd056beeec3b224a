/**
 * Runs in the machine, with the bakker that is installed there: `node hold-view.ts STATE_DIR VIEWS_DIR < JSON`. Freezes the
 * sources that the JSON names, says so, waits for /run/go, asks whether all is whole, and undoes it. One JSON object a line.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type * as Journal from '../../packages/agent/src/adapters/undo/sqlite-undo-journal.ts';
import type * as Volumes from '../../packages/agent/src/adapters/volumes/open-volumes.ts';

type VolumesModule = typeof Volumes;
type JournalModule = typeof Journal;

export interface HoldRequest {
  readonly paths: readonly string[];
  readonly lvmSize: { readonly share: number } | { readonly sizeBytes: number };
}

const INSTALLED = '/opt/bakker/packages/agent/dist/adapters';
const [stateDir = '', viewsDir = ''] = process.argv.slice(2);
const request = JSON.parse(readFileSync(0, 'utf8')) as HoldRequest;
const say = (value: object): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

try {
  const { openVolumes } = (await import(`${INSTALLED}/volumes/open-volumes.js`)) as VolumesModule;
  const { SqliteUndoJournal } = (await import(`${INSTALLED}/undo/sqlite-undo-journal.js`)) as JournalModule;
  mkdirSync(stateDir, { recursive: true });
  using journal = new SqliteUndoJournal(stateDir, { nowMs: () => Date.now() });
  const volumes = openVolumes({ viewsDir });
  const plan = await volumes.plan(
    request.paths.map((path) => ({
      path: Buffer.from(path),
      excludes: [],
      oneFilesystem: true,
      honourMarkers: true,
      snapshot: { provider: 'auto', lvmSize: request.lvmSize },
    })),
  );
  say({
    plan: plan.volumes.map(({ mountPoint, provider, why, problem }) => ({
      at: mountPoint.toString(),
      provider,
      why,
      problem: problem?.message,
    })),
  });
  const sinceMs = performance.now();
  await using freezing = await volumes.prepare(plan, { journal, signal: new AbortController().signal });
  const preparedMs = performance.now();
  await freezing.take();
  const takenMs = performance.now();
  say({ taken: true, prepareMs: Math.round(preparedMs - sinceMs), takeMs: Math.round(takenMs - preparedMs) });
  const view = await freezing.mount();
  say({
    root: view.root.toString(),
    warnings: view.warnings,
    mountMs: Math.round(performance.now() - takenMs),
  });
  while (!existsSync('/run/go')) await delay(50);
  await view.check();
  say({ whole: true });
} catch (error) {
  if (!(error instanceof Error)) throw error;
  say({
    failure: error.message,
    code: 'code' in error ? error.code : undefined,
    hint: 'hint' in error ? error.hint : undefined,
  });
  process.exitCode = 14;
}
