import type { Test } from 'tap';
import type { Machine } from '../machine.ts';
import { entriesOf, LEDGERS, LIVE_QUERIES, type BusyServer, type LedgerName } from './busy-server.ts';

/** No pause is so long: the clock was set meanwhile. */
const CLOCK_WAS_SET_S = 1800;

/** The timer fires, and the run comes from snapshots, for which nobody stood still longer than it says. */
export async function timerRun(t: Test, server: BusyServer): Promise<void> {
  const { machine, say } = server;
  await machine.must('sleep 5');
  const before = await entriesOf(machine);
  // As shipped but for the random delay, which systemd draws anew for what it catches up with (up to half an hour of waiting), and
  // the minute within which it starts several things at once.
  await machine.must(
    "install -d /etc/systemd/system/bakker.timer.d && printf '[Timer]\nRandomizedDelaySec=2s\nAccuracySec=1s\n' >/etc/systemd/system/bakker.timer.d/soon.conf && systemctl daemon-reload",
  );
  // Later than the timer's time of tomorrow: systemd starts what is due.
  await machine.must('date -s "tomorrow 02:00" >/dev/null');
  await machine.must(
    'until journalctl -q -u bakker.service | grep -q Finished; do systemctl is-failed -q bakker.service && exit 1; sleep 1; done',
  );
  const after = await entriesOf(machine);
  const run = await server.latest();
  t.match(run, /^\d{4}_\d\d_\d\d_01$/);
  say((await machine.must('journalctl -q -o cat -u bakker.service | grep complete')).trim());
  t.notMatch(
    await machine.must('journalctl -q -o cat -u bakker.service'),
    /goes on writing/,
    'all of a database is of one moment',
  );
  t.match(await machine.must('systemctl show -p TriggeredBy bakker.service'), /bakker\.timer/);
  // LVM keeps a note of each change, with what asked for it.
  const noted = await machine.must(
    'cd /etc/lvm/archive && for f in $(grep -l "before.*lvcreate.*bakker" data_*); do echo "$(stat -c %.Y $f) $(grep ^description $f)"; done | sort',
  );
  t.match(noted, /--snapshot --name bakker-\w+-0 .*data\/\w+/);
  t.match(noted, /--snapshot --name bakker-\w+-1 .*data\/\w+/);
  const snapshotAt = Number(noted.split(' ')[0]);
  say(`LVM noted:\n${noted}`);
  t.equal(await server.left(), '');

  const status = JSON.parse(await machine.must('bakker status --json')) as {
    lastSuccess: { windowSeconds: number };
  };
  const window = status.lastSuccess.windowSeconds;
  t.ok(window > 0);
  say(`the run reports that services stood still for ${window.toFixed(2)} s`);
  for (const name of LEDGERS) {
    const pauses = await pausesOf(machine, name, before[name]);
    const still = longest(pauses.filter(({ from, until }) => from <= snapshotAt && snapshotAt <= until));
    const usual = longest(pauses.filter(({ from, until }) => until < snapshotAt || snapshotAt < from));
    say(
      `${name}: ${after[name] - before[name]} entries during the run; it stood still for ${still.toFixed(2)} s, its longest other pause was ${usual.toFixed(2)} s`,
    );
    // A writer waits between two entries anyway, before the window and after it, and shares its processors with the run.
    t.ok(still <= window + 2 * usual, `${name} stood still no longer than the run says`);
  }
}

interface Pause {
  /** Unix time in seconds. */
  readonly from: number;
  readonly until: number;
}

function longest(pauses: readonly Pause[]): number {
  return Math.max(0, ...pauses.map(({ from, until }) => until - from));
}

/** The times between two entries after that one, by the ledger's own times. */
async function pausesOf(machine: Machine, name: LedgerName, since: number): Promise<Pause[]> {
  const rows =
    name === 'app'
      ? await machine.must(`awk '$2 == 1 { print $1, $3 }' /srv/mysql/app/ledger`)
      : await machine.must(LIVE_QUERIES[name], {
          input: "SELECT concat(n, ' ', at) FROM ledger WHERE part = 1 ORDER BY n;",
        });
  const times = rows
    .trim()
    .split('\n')
    .map((row) => row.split(' ').map(Number))
    .filter(([n = 0]) => n >= since)
    .map(([, at = NaN]) => at);
  return times
    .slice(1)
    .map((until, index) => ({ from: times[index] ?? until, until }))
    .filter(({ from, until }) => until - from < CLOCK_WAS_SET_S);
}
