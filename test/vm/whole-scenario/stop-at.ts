/**
 * Runs in the machine: `node stop-at.ts STEP`. Starts bakker.service and stops all of it, and what serves it on the storage,
 * when it can be seen from outside that the run is at that step. Prints one JSON object: what was seen, or that it was missed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export const STEPS = [
  'enter',
  'snapshot',
  'leave',
  'mount',
  'scan',
  'push',
  'publish',
  'unmount',
  'remove',
] as const;
export type Step = (typeof STEPS)[number];

export interface Stopped {
  /** The main process of bakker.service; undefined if the run was over before the step was seen. */
  readonly pid?: number;
  readonly seen: string;
}

const CGROUP = '/sys/fs/cgroup/system.slice/bakker.service';
const MAINTENANCE = '/srv/mysql/app/maintenance';
const ACCOUNT = '/backups/alder';
const RUN = /^\d{4}_\d\d_\d\d_\d\d(?:\.impl)?$/;
const LOOK_AGAIN_MS = 2;

let shells: readonly number[] = [];

/** What is seen at the step, in words. */
type Look = (pid: number) => string | undefined;

if (import.meta.main) process.stdout.write(`${JSON.stringify(await stopAt(process.argv[2] ?? ''))}\n`);

async function stopAt(step: string): Promise<Stopped> {
  const look = lookFor(step);
  execFileSync('systemctl', ['start', '--no-block', 'bakker.service']);
  let pid: number | undefined;
  while ((pid = mainProcess()) === undefined) await delay(LOOK_AGAIN_MS);
  for (;;) {
    const seen = look(pid);
    if (seen !== undefined) {
      for (const shell of storageShells()) process.kill(shell, 'SIGSTOP');
      writeFileSync(`${CGROUP}/cgroup.freeze`, '1');
      return { pid, seen };
    }
    if (mainProcess() !== pid) return { seen: 'the run was over before' };
    await delay(LOOK_AGAIN_MS);
  }
}

function lookFor(step: string): Look {
  switch (step) {
    case 'enter':
      return () => (existsSync(MAINTENANCE) ? 'the application is in maintenance' : undefined);
    case 'snapshot':
      return () => snapshotDevices()[0];
    case 'leave':
      return lookForLeave();
    case 'mount':
      return (pid) => mountsOf(pid)[0];
    case 'scan':
      return (pid) => openFiles(pid).find((path) => /\/view-[^/]+\/root\/srv\/[^/]+\/./.test(path));
    case 'push':
      return () =>
        storageShells()
          .flatMap(openFiles)
          .find(
            (path) =>
              /\.incomplete\/srv\//.test(path) && lstatSync(path, { throwIfNoEntry: false })?.isFile(),
          );
    case 'publish':
      return lookForPublish();
    case 'unmount':
      return lookForUnmount();
    case 'remove':
      return (pid) => children(pid).find((command) => /lvremove/.test(command));
    default:
      throw new Error(`no such step: ${step}`);
  }
}

function lookForLeave(): Look {
  let wasEntered = false;
  return (pid) => {
    const isEntered = existsSync(MAINTENANCE);
    if (wasEntered && !isEntered) return 'the application was just let go';
    wasEntered ||= isEntered;
    if (!isEntered) return undefined;
    return children(pid).find((command) => /app resume/.test(command));
  };
}

function lookForPublish(): Look {
  const before = new Set(readdirSync(ACCOUNT));
  return () => {
    const names = readdirSync(ACCOUNT).filter((name) => RUN.test(name) && !before.has(name));
    if (names.length === 0) return undefined;
    return `${names.join(' and ')} is there, latest is ${latest()}`;
  };
}

function lookForUnmount(): Look {
  let most = 0;
  return (pid) => {
    const { length } = mountsOf(pid);
    most = Math.max(most, length);
    return length < most ? `${length} of ${most} mounts are left` : undefined;
  };
}

function mainProcess(): number | undefined {
  return processes().find((pid) => /main\.js backup/.test(commandOf(pid)));
}

function children(pid: number): string[] {
  return processes()
    .filter((child) => child !== pid)
    .map(commandOf);
}

function processes(): number[] {
  const text = tryRead(`${CGROUP}/cgroup.procs`);
  return text.split('\n').filter(Boolean).map(Number);
}

function commandOf(pid: number): string {
  return tryRead(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** What serves the account: found once a session, looked for again when it is gone. */
function storageShells(): readonly number[] {
  if (shells.length > 0 && shells.every((pid) => existsSync(`/proc/${pid}`))) return shells;
  shells = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => /main\.js shell .*--account alder/.test(commandOf(pid)));
  return shells;
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return [];
  }
}

/** Where the process, in its own mount namespace, has snapshots mounted. */
function mountsOf(pid: number): string[] {
  const lines = tryRead(`/proc/${pid}/mountinfo`).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((at) => /\/view-[^/]+\//.test(at));
}

function snapshotDevices(): string[] {
  return readdirSync('/dev/mapper').filter((name) => /^data-bakker--[0-9a-f]+--\d+$/.test(name));
}

function latest(): string {
  try {
    return readlinkSync(`${ACCOUNT}/latest`);
  } catch {
    return 'not there';
  }
}

function tryRead(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
