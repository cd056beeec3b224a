import { formatSpace } from '@bakker/command-line';
import { missingLastRun, refuseEmptiedStorage } from '../backup/guards.ts';
import { NAMES_KEPT_BY, NAMES_NOT_KEPT, missingAbilities } from '../enrol/check-abilities.ts';
import { AgentError } from '../errors.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { StorageAccount, StorageSide } from '../ports/storage-account.ts';
import { failed, ok, warn, type Finding } from './finding.ts';

const SKEW_LIMIT_MS = 60_000;
const LOW_FREE_SHARE = 0.05;
const FEW_INODES = 100_000;

export async function checkAbilitiesAndClock(account: StorageAccount): Promise<Finding[]> {
  const abilities = await account.probe();
  const missing = missingAbilities(abilities);
  const found: Finding[] = missing.map(({ words, hint }) =>
    failed(
      'storage abilities',
      new AgentError('STORAGE_UNFIT', `no ${words}`, { hint: `the storage needs ${hint}` }),
    ),
  );
  if (missing.length === 0) found.push(ok('storage abilities', 'write, link, rename and delete work'));
  if (!abilities.anyBytesInNames) {
    found.push(warn('storage names', NAMES_NOT_KEPT, NAMES_KEPT_BY));
  }
  if (!abilities.fsync) {
    found.push(
      warn(
        'storage flush',
        'data can not be flushed on demand',
        'after a power cut there, run `bakker verify --data`',
      ),
    );
  }
  if (abilities.clockSkewMs !== undefined) found.push(clockFinding(abilities.clockSkewMs));
  if (account.side !== undefined) found.push(...sideFindings(account.side));
  return found;
}

function sideFindings({ program, account, role, mayRead, frozen }: StorageSide): Finding[] {
  const rights = `the role ${role}${mayRead ? '' : ', without reading'}`;
  const found = [
    role === 'backup'
      ? ok('account', `${account}, ${rights}, served by ${program}`)
      : warn('account', `${account}, ${rights}`, 'a backup needs a key with the role backup'),
  ];
  if (frozen !== undefined) {
    found.push(
      warn(
        'storage retention',
        `stands still since ${frozen.sinceRun}: ${frozen.reason}`,
        "the storage's administrator looks at that run and thaws the account",
      ),
    );
  }
  return found;
}

function clockFinding(skewMs: number): Finding {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) <= SKEW_LIMIT_MS)
    return ok('clock', `within ${SKEW_LIMIT_MS / 1000} s of the storage's`);
  const direction = skewMs > 0 ? 'ahead of' : 'behind';
  return warn(
    'clock',
    `the storage's clock is ${seconds} s ${direction} this machine's`,
    'let both keep time by NTP: runs are named and kept by date',
  );
}

/** @param last - what this server remembers; undefined if it can't be read */
export async function checkRuns(account: StorageAccount, last: LastRuns | undefined): Promise<Finding[]> {
  const runs = await account.listRuns();
  if (last) refuseEmptiedStorage({ runs, last, address: account.address });
  const complete = runs.filter(({ state }) => state === 'complete');
  const newest = complete.at(-1);
  if (newest === undefined) return [ok('runs', 'none yet')];
  const findings: Finding[] = [];
  const names = complete.map(({ run }) => run);
  const missing = last && missingLastRun({ runs: names, address: account.address, last });
  if (missing !== undefined) {
    findings.push(
      warn(
        'runs',
        `${missing} went there and is not there any more; the newest is ${newest.run}`,
        "ask the storage's administrator whether it was put back to an earlier state",
      ),
    );
  }
  for (const { run } of complete.filter(({ manifestSizeBytes }) => manifestSizeBytes === undefined)) {
    findings.push(
      failed(
        'runs',
        new AgentError('MANIFEST_DAMAGED', `${run} has lost its manifest`, {
          hint: `see bakker verify --from ${run}`,
        }),
      ),
    );
  }
  const latest = await account.latest();
  if (latest !== newest.run) {
    const detail = latest === undefined ? 'latest points at no complete run' : `latest points at ${latest}`;
    findings.push(
      warn('latest', `${detail}; the newest is ${newest.run}`, 'the next bakker backup mends it'),
    );
  } else {
    findings.push(ok('latest', `is ${latest}`));
  }
  return findings;
}

export async function checkSpace(account: StorageAccount): Promise<Finding[]> {
  const space = await account.space();
  if (space === undefined) {
    return [warn('storage space', 'the storage does not tell', 'watch it by other means')];
  }
  const { freeInodes, limitBytes, usedBytes = 0 } = space;
  const isLimited = limitBytes !== undefined && limitBytes - usedBytes < space.freeBytes;
  const freeBytes = isLimited ? Math.max(0, limitBytes - usedBytes) : space.freeBytes;
  const totalBytes = isLimited ? limitBytes : space.totalBytes;
  const room = `${formatSpace(freeBytes)} of ${formatSpace(totalBytes)} free${isLimited ? ' below the limit of the account' : ''}`;
  const findings: Finding[] = [];
  if (freeBytes === 0) {
    findings.push(
      failed(
        'storage space',
        new AgentError('STORAGE_FULL', 'no space is left', { hint: 'make room, or keep fewer runs' }),
      ),
    );
  } else if (freeBytes < totalBytes * LOW_FREE_SHARE) {
    findings.push(warn('storage space', room, 'make room, or keep fewer runs'));
  } else {
    findings.push(ok('storage space', room));
  }
  if (freeInodes !== undefined && freeInodes < FEW_INODES) {
    findings.push(
      warn(
        'storage inodes',
        `${freeInodes} free`,
        'each new file and each folder of each run takes one: keep fewer runs, or a file system with more',
      ),
    );
  }
  return findings;
}
