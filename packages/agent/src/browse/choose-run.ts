import { parseRunName, runDateMs, type RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { StorageAccount, StoredRun } from '../ports/storage-account.ts';
import { openManifest } from './open-manifest.ts';

/**
 * The complete run that `from` stands for: `latest` (the newest), a run's name, or a date in ISO 8601 or as lists print it (UTC
 * unless it says otherwise): the newest run that had started by then. A date alone means the end of that day, a time without
 * seconds the end of that minute.
 *
 * @throws AgentError RUN_NOT_FOUND, MANIFEST_DAMAGED if that run has no manifest, USAGE if `from` is none of these; for a time, what
 * opening sealed runs of that day throws
 */
export async function chooseRun(account: StorageAccount, from: string): Promise<RunName> {
  const chosen = await findRun(account, from);
  if (chosen.manifestSizeBytes === undefined) {
    throw new AgentError('MANIFEST_DAMAGED', `the manifest of ${chosen.run} is missing from the storage`, {
      hint: 'choose another run: bakker list',
    });
  }
  return chosen.run;
}

/** Like `chooseRun`, whatever state its manifest is in. */
export async function findRun(account: StorageAccount, from: string): Promise<StoredRun> {
  const runs = (await account.listRuns()).filter(({ state }) => state === 'complete');
  if (runs.length === 0) {
    throw new AgentError('RUN_NOT_FOUND', `${account.address} holds no complete run`, {
      hint: 'bakker backup makes the first; if runs went there, bakker list says so',
    });
  }
  return find(account, { runs, from });
}

/** Every complete run, oldest first, for `all`; else the one that `from` stands for. */
export async function chooseRuns(account: StorageAccount, from: string): Promise<readonly RunName[]> {
  if (from !== 'all') return [(await findRun(account, from)).run];
  const runs = await account.listRuns();
  return runs.filter(({ state }) => state === 'complete').map(({ run }) => run);
}

type Choice = { readonly runs: readonly StoredRun[]; readonly from: string };

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_AND_TIME =
  /^(?<date>\d{4}-\d{2}-\d{2})[T ](?<minute>\d{2}:\d{2})(?<seconds>:\d{2}(?:\.\d{1,3})?)?(?: ?(?:Z|UTC)|(?<offset>[+-]\d{2}:\d{2}))?$/;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

async function find(account: StorageAccount, { runs, from }: Choice): Promise<StoredRun> {
  // Not where the link leads: it lags behind a run that was killed while it was published, and a storage may turn it back.
  if (from === 'latest') return newest(runs, from);
  const name = parseRunName(from);
  if (name !== undefined) return runs.find(({ run }) => run === name) ?? notFound(runs, from);
  if (DATE.test(from)) return newestAt(account, { runs, from, timeMs: timeOf(from) + DAY_MS - 1 });
  const parts = DATE_AND_TIME.exec(from)?.groups;
  if (parts !== undefined) {
    const { date, minute, seconds, offset = 'Z' } = parts;
    const timeMs = timeOf(`${date}T${minute}${seconds ?? ''}${offset}`);
    return newestAt(account, { runs, from, timeMs: seconds === undefined ? timeMs + MINUTE_MS - 1 : timeMs });
  }
  throw new AgentError('USAGE', `${JSON.stringify(from)} is neither a run nor a date`, {
    hint: 'latest, a run as bakker list shows it (2024_04_19_01), or a date (2024-04-19, 2024-04-19T13:00)',
  });
}

/**
 * By the day in each run's name as long as that decides, then by its start. After a clock that was far ahead, all names are
 * later than the days on which the runs are made: then it is the start of each that counts.
 */
async function newestAt(
  account: StorageAccount,
  { runs, from, timeMs }: Choice & { timeMs: number },
): Promise<StoredRun> {
  const isWholeDay = DATE.test(from);
  const isAhead = await areNamesAhead(account, runs);
  for (const stored of runs.toReversed()) {
    const isNamedBy = runDateMs(stored.run) <= timeMs;
    if (isNamedBy && isWholeDay) return stored;
    if (!isNamedBy && !isAhead) continue;
    const startedAtMs = await startOf(account, stored);
    if (startedAtMs !== undefined && startedAtMs <= timeMs) return stored;
  }
  return notFound(runs, from);
}

/** What the newest receipt says is enough: where it lies, the start of each run is looked for where it is true. */
async function areNamesAhead(account: StorageAccount, runs: readonly StoredRun[]): Promise<boolean> {
  const run = runs.at(-1)?.run;
  const receipt = run && (await account.receipt(run));
  return run !== undefined && receipt !== undefined && receipt.startedAtMs < runDateMs(run);
}

/**
 * Undefined where neither receipt nor manifest tells. The receipt of a sealed run lies open: a storage could write another time into
 * it, and an older run would be taken for the wanted one. So none that does not open is passed over.
 */
async function startOf(
  account: StorageAccount,
  { run, manifestSizeBytes }: StoredRun,
): Promise<number | undefined> {
  if (manifestSizeBytes !== undefined && (await account.holdsSealed?.(run)) === true)
    return startInManifest(account, run);
  const receipt = await account.receipt(run);
  if (receipt !== undefined) return receipt.startedAtMs;
  try {
    return await startInManifest(account, run);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'MANIFEST_DAMAGED') return undefined;
    throw error;
  }
}

async function startInManifest(account: StorageAccount, run: RunName): Promise<number> {
  await using manifest = await openManifest(account, run);
  return manifest.header.startedAtMs;
}

function newest(candidates: readonly StoredRun[], from: string, runs = candidates): StoredRun {
  return candidates.at(-1) ?? notFound(runs, from);
}

function notFound(runs: readonly StoredRun[], from: string): never {
  const first = runs[0]?.run ?? '';
  const last = runs.at(-1)?.run ?? '';
  const isName = parseRunName(from) !== undefined;
  throw new AgentError(
    'RUN_NOT_FOUND',
    isName ? `there is no complete run ${from}` : `there is no run as old as ${from}`,
    {
      hint: `the oldest is ${first}, the newest ${last}; all of them: bakker list`,
    },
  );
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text);
  // Date.parse takes 30 February for 1 March.
  const isReal = !Number.isNaN(timeMs) && !Number.isNaN(Date.parse(`${text.slice(0, 10)}T00:00Z`));
  const day = text.slice(0, 10);
  if (isReal && new Date(`${day}T00:00Z`).toISOString().startsWith(day)) return timeMs;
  throw new AgentError('USAGE', `${JSON.stringify(text)} is no date`, { hint: 'write it as 2024-04-19' });
}
