import { escapeText, formatSpace, formatDate, formatDuration } from '@bakker/command-line';
import { formatWindow } from '../quiesce/format-window.ts';
import { parseDurationMs } from '../config/durations.ts';
import type { RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { StorageAccount, StorageSide } from '../ports/storage-account.ts';
import { parseSizeBytes } from '../config/sizes.ts';
import { missingLastRun } from '../backup/guards.ts';
import { frozenNow } from '../retain/frozen-now.ts';
import type { Command } from './command.ts';

interface StatusArgs {
  readonly maxAge: string;
  readonly requestSpace?: string;
  readonly storage?: boolean;
}

/** What the storage answered to a wish for more room. */
export interface RequestedSpace {
  readonly askedBytes: number;
  readonly grantedBytes: number;
  readonly limitBytes: number | undefined;
}

export interface Status {
  /** `ok`, `late` (the last success is too old, or dated in the future) or `never`. */
  readonly health: 'ok' | 'late' | 'never';
  /** Undefined also where a date in the future says nothing of it. */
  readonly ageMs: number | undefined;
  readonly maxAgeMs: number;
  readonly last: LastRuns;
  readonly requested?: RequestedSpace;
  readonly storage?: StorageStatus;
}

/** What the storage says now of what it has. */
export interface StorageStatus {
  readonly runs: number;
  /** Names of files with other bytes than were stored, in all runs; undefined if it does not look for them. */
  readonly damagedFiles: number | undefined;
  /** The runs that they are in. */
  readonly damagedRuns: readonly RunName[];
  readonly frozen: StorageSide['frozen'];
  /** The last success, if neither it nor a later run is there. */
  readonly missingRun: RunName | undefined;
}

export const status: Command<StatusArgs, Status> = {
  usage: 'status',
  summary: 'Age and result of the last run, for people and monitoring',
  examples: [
    ['bakker status', 'exit 1 when no run succeeded in the last two days'],
    ['bakker status --max-age 26h --json', 'the same for a monitoring system'],
    ['bakker status --storage', 'and whether the storage found damage or lacks the last run; exit 1 if so'],
    ['bakker status --request-space 20G', 'ask the storage for so much room in all'],
  ],
  positionals: {},
  flags: {
    'max-age': { type: 'string', default: '2d', describe: 'oldest last success that is fine: 26h, 2d' },
    storage: { type: 'boolean', describe: 'ask the storage what it found, too' },
    'request-space': {
      type: 'string',
      requiresArg: true,
      describe: 'ask the storage for SIZE in all: 500M, 20G, 2T',
    },
  },
  async run(context, args) {
    const maxAgeMs = parseDurationMs(args.maxAge);
    if (maxAgeMs === undefined || maxAgeMs === 0) {
      throw new AgentError('USAGE', `status: --max-age ${escapeText(args.maxAge)} is no time`, {
        hint: 'write 26h, 90m or 2d',
      });
    }
    const asked = args.requestSpace;
    const askedBytes = asked === undefined ? undefined : parseSizeBytes(asked);
    if (asked !== undefined && askedBytes === undefined) {
      throw new AgentError('USAGE', `status: --request-space ${escapeText(asked)} is no size`, {
        hint: 'write 500M, 20G or 2T',
      });
    }
    const judged = judge(await context.lastRuns(), maxAgeMs, context.clock.nowMs());
    if (askedBytes === undefined && args.storage !== true) return judged;
    const account = await context.account();
    return {
      ...judged,
      last: { ...judged.last, frozen: frozenNow(judged.last, account) },
      ...(askedBytes === undefined ? {} : { requested: await requestSpace(account, askedBytes) }),
      ...(args.storage === true ? { storage: await storageStatus(account, judged.last) } : {}),
    };
  },
  json({ health, ageMs, maxAgeMs, last, requested, storage }) {
    const { lastSuccess, lastAttempt, frozen } = last;
    return {
      health,
      ageSeconds: ageMs === undefined ? null : Math.round(ageMs / 1000),
      maxAgeSeconds: Math.round(maxAgeMs / 1000),
      lastSuccess:
        lastSuccess === undefined
          ? null
          : {
              run: lastSuccess.run,
              status: lastSuccess.status,
              ...isoTimes(lastSuccess),
              ...(lastSuccess.windowMs === undefined ? {} : { windowSeconds: lastSuccess.windowMs / 1000 }),
            },
      lastAttempt:
        lastAttempt === undefined
          ? null
          : { ...isoTimes(lastAttempt), exitStatus: lastAttempt.exitStatus, message: lastAttempt.message },
      retentionFrozen: frozen ?? null,
      ...(requested === undefined
        ? {}
        : { requestedSpace: { ...requested, limitBytes: requested.limitBytes ?? null } }),
      ...(storage === undefined
        ? {}
        : {
            storage: {
              ...storage,
              damagedFiles: storage.damagedFiles ?? null,
              frozen: storage.frozen ?? null,
              missingRun: storage.missingRun ?? null,
            },
          }),
    };
  },
  render({ health, ageMs, maxAgeMs, last, requested, storage }, screen) {
    const { lastSuccess, lastAttempt, frozen } = last;
    if (lastSuccess === undefined) screen.line('No backup of this machine has ever succeeded.');
    else {
      const age = ageMs === undefined ? '' : `, ${formatDuration(ageMs)} ago`;
      screen.line(
        `Last success: run ${lastSuccess.run}, ${lastSuccess.status}, ${formatDate(lastSuccess.finishedAtMs)}${age}.`,
      );
      if (lastSuccess.windowMs !== undefined)
        screen.line(`Services stood still for ${formatWindow(lastSuccess.windowMs)} in it.`);
    }
    if (health === 'late')
      screen.line(
        ageMs === undefined
          ? 'That is in the future: the clock was wrong then, or is now.'
          : `That is longer ago than ${formatDuration(maxAgeMs)}.`,
      );
    if (lastAttempt !== undefined && lastAttempt.exitStatus !== 0) {
      const when = formatDate(lastAttempt.finishedAtMs);
      screen.line(
        `Last attempt: ${when}, exit status ${lastAttempt.exitStatus}: ${escapeText(lastAttempt.message)}`,
      );
    }
    if (frozen !== undefined) {
      screen.line(`Retention stands still since ${frozen.sinceRun}: ${escapeText(frozen.reason)}.`);
      screen.line(
        frozen.isAtStorage === true
          ? "The storage's administrator has to look at that run and thaw the account."
          : screen.typedHere('Look at that run; bakker retention --thaw goes on.'),
      );
    }
    if (requested !== undefined) screen.line(grantText(requested));
    if (storage !== undefined) for (const line of storageLines(storage)) screen.line(line);
  },
  exitStatus: ({ health, storage }) =>
    health === 'ok' && (storage?.damagedRuns.length ?? 0) === 0 && storage?.missingRun === undefined ? 0 : 1,
};

/** A success dated in the future counts as fresh only as far as the clock's error is small; else nobody knows its age. */
export function judge(last: LastRuns, maxAgeMs: number, nowMs: number): Status {
  if (last.lastSuccess === undefined) return { health: 'never', ageMs: undefined, maxAgeMs, last };
  const ageMs = nowMs - last.lastSuccess.finishedAtMs;
  const isFine = ageMs <= maxAgeMs && ageMs >= -maxAgeMs;
  return {
    health: isFine ? 'ok' : 'late',
    ageMs: ageMs < -maxAgeMs ? undefined : Math.max(0, ageMs),
    maxAgeMs,
    last,
  };
}

async function requestSpace(account: StorageAccount, askedBytes: number): Promise<RequestedSpace> {
  if (account.side === undefined) {
    throw new AgentError('STORAGE_UNFIT', `${account.address} keeps no count of space for this server`, {
      hint: 'ask its administrator; only an account served by bakker-storage can be asked by this command',
    });
  }
  return { askedBytes, ...(await account.side.requestSpace(askedBytes)) };
}

/** An account without any run lacks the last success, wherever that went. */
export async function storageStatus(
  account: {
    readonly side?: Pick<StorageSide, 'verdicts' | 'frozen'> | undefined;
  } & Pick<StorageAccount, 'address' | 'listRuns'>,
  last: LastRuns,
): Promise<StorageStatus> {
  const verdicts = await account.side?.verdicts();
  const runs = (verdicts ?? (await account.listRuns()).filter(({ state }) => state === 'complete')).map(
    ({ run }) => run,
  );
  const damaged = verdicts?.filter(({ hurtFiles, isManifestHurt }) => hurtFiles > 0 || isManifestHurt);
  return {
    runs: runs.length,
    damagedFiles: damaged?.reduce((sum, { hurtFiles }) => sum + hurtFiles, 0),
    damagedRuns: (damaged ?? []).map(({ run }) => run),
    frozen: account.side?.frozen,
    missingRun:
      runs.length === 0 ? last.lastSuccess?.run : missingLastRun({ runs, address: account.address, last }),
  };
}

function storageLines(storage: StorageStatus): string[] {
  const { runs, missingRun } = storage;
  return [
    `The storage has ${runs} complete ${runs === 1 ? 'run' : 'runs'}.`,
    ...(missingRun === undefined
      ? []
      : [`Run ${missingRun} is not there, and no later one: was it put back to an earlier state?`]),
    ...(runs === 0 ? [] : [damageText(storage)]),
  ];
}

function damageText({ damagedFiles, damagedRuns }: StorageStatus): string {
  if (damagedFiles === undefined) return 'It does not look for damage in them: bakker verify --data does.';
  const [first, last] = [damagedRuns.at(0), damagedRuns.at(-1)];
  if (first === undefined || last === undefined) return 'It has found no damage in them.';
  const range = first === last ? `run ${first}` : `${damagedRuns.length} runs, ${first} to ${last}`;
  return `It has found damage in ${range} (${damagedFiles} files). The next run sends again what the newest lacks and the source has; older runs keep the damage until the storage's administrator mends it (docs/scrub.md), or they go.`;
}

function grantText({ askedBytes, grantedBytes, limitBytes }: RequestedSpace): string {
  const limit = limitBytes === undefined ? '' : ` The limit is ${formatSpace(limitBytes)}.`;
  if (grantedBytes >= askedBytes) return `The storage grants ${formatSpace(grantedBytes)}.${limit}`;
  return `The storage's administrator now sees the wish for ${formatSpace(askedBytes)}.${limit}`;
}

function isoTimes(times: { startedAtMs: number; finishedAtMs: number }): {
  startedAt: string;
  finishedAt: string;
} {
  return {
    startedAt: new Date(times.startedAtMs).toISOString(),
    finishedAt: new Date(times.finishedAtMs).toISOString(),
  };
}
