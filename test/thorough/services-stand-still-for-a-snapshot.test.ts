import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import type { RunningBakker } from '../harness/bakker.ts';
import { mountLoopFilesystem, type LoopFilesystem } from '../harness/loop-fs.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { completeRuns, findBrokenPromises } from '../harness/storage-check.ts';
import { makeWorld, type World } from '../harness/world.ts';

t.setTimeout(600_000);

/** A service that writes to a btrfs of its own, and a `btrfs` that dies, kills or fails where it is told to. */
interface Machine extends AsyncDisposable {
  readonly world: World;
  readonly disk: LoopFilesystem;
  readonly data: string;
  /** What the service was told, since the last call. */
  told(): string[];
  /** The next backup dies, or fails, at this point; an empty one takes it back. */
  at(point: string): void;
  start(args?: readonly string[]): RunningBakker;
  backup(args?: readonly string[]): ReturnType<World['bakker']['run']>;
  /** What a run left on the machine. */
  left(): string[];
}

async function makeMachine(config: Record<string, unknown> = {}): Promise<Machine> {
  await using made = new AsyncDisposableStack();
  const disk = made.use(await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 256 * 2 ** 20 }));
  const world = made.use(await makeWorld({ kind: 'local' }));
  const data = `${disk.folder}/data`;
  writeSampleTree(data, { files: 1500, maxBytes: 60_000 });
  fs.writeFileSync(`${data}/state`, 'unsteady');
  const folder = world.bakker.folder;
  const [log, point, standing] = [`${folder}/log`, `${folder}/point`, `${folder}/standing`];
  const at = (words: string): void => fs.writeFileSync(point, words);
  const dies = (words: string): string =>
    `if grep -qx '${words}' ${point}; then kill -9 $PPID; fi; if grep -qx 'failing ${words}' ${point}; then exit 7; fi`;
  const bin = `${folder}/bin`;
  fs.mkdirSync(bin);
  const script = `#!/bin/sh
case "$*" in *'subvolume snapshot'*) what=snapshot;; *'subvolume delete'*) what=delete;; *) exec /usr/bin/btrfs "$@";; esac
if grep -qx "before $what" ${point}; then kill -9 $PPID; fi
if grep -qx "failing $what" ${point}; then echo 'no room' >&2; exit 1; fi
/usr/bin/btrfs "$@"; status=$?
if grep -qx "after $what" ${point}; then kill -9 $PPID; fi
exit $status
`;
  fs.writeFileSync(`${bin}/btrfs`, script, { mode: 0o755 });
  at('');
  await world.configure({
    sources: [data],
    snapshot: 'btrfs',
    services: [
      {
        name: 'app',
        command: {
          enter: {
            shell: `echo enter >> ${log}; touch ${standing}; echo steady > ${data}/state; ${dies('enter')}; ${dies('entered')}`,
          },
          leave: {
            shell: `echo leave >> ${log}; ${dies('leave')}; rm -f ${standing}; echo unsteady > ${data}/state; ${dies('left')}`,
          },
        },
      },
    ],
    ...config,
  });
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  const device = execFileSync('findmnt', ['-no', 'SOURCE', disk.folder], { encoding: 'utf8' }).trim();
  const kept = made.move();
  return {
    world,
    disk,
    data,
    at,
    told: () => {
      const lines = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n') : [];
      fs.rmSync(log, { force: true });
      return lines;
    },
    start: (args = []) => world.bakker.start(['backup', '--json', ...args], { env }),
    backup: (args = []) => world.bakker.run(['backup', '--json', ...args], { env }),
    left: () => [
      ...(fs.existsSync(standing) ? ['the service stands still'] : []),
      ...(fs.existsSync(`${disk.folder}/.bakker-snapshots`) ? ['a snapshot'] : []),
      ...mountsOf(device).filter((at) => at !== disk.folder),
    ],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function mountsOf(device: string): string[] {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.flatMap((line) => (line.includes(` ${device} `) ? [line.split(' ')[4] ?? ''] : []));
}

/** Waits until the run says that it is there. */
async function reaches({ process: child, finished }: RunningBakker, stage: RegExp): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (stage.test(said)) resolve();
    });
    void finished.then(() => reject(new Error(`it ended before it said ${String(stage)}: ${said}`)));
  });
}

/** The words that the service wrote, as they lie in the newest run. */
function stateInRun({ world, data }: Machine): string {
  return fs.readFileSync(`${world.storage}/latest${data}/state`, 'utf8').trim();
}

t.test('a run has what was there while the service stood still', async (t) => {
  await using machine = await makeMachine();
  const { world } = machine;
  const result = await machine.backup();
  t.equal(result.status, 0, result.stderr);
  const report = result.json<{ windowSeconds: number; snapshots: unknown }>();
  t.strictSame(machine.told(), ['enter', 'leave']);
  t.equal(stateInRun(machine), 'steady', 'though it was released before it was read');
  t.equal(fs.readFileSync(`${machine.data}/state`, 'utf8').trim(), 'unsteady');
  t.ok(report.windowSeconds > 0);
  const status = (await world.expect(['status', '--json'])).json<{
    lastSuccess: { windowSeconds: number };
  }>();
  t.ok(status.lastSuccess.windowSeconds > 0, 'status remembers it');
  t.strictSame(report.snapshots, [
    { source: machine.data, filesystem: machine.disk.folder, provider: 'btrfs' },
  ]);
  t.strictSame(machine.left(), []);
  t.strictSame(findBrokenPromises(world.storage), []);

  const again = await machine.backup();
  const { files } = again.json<{ files: Record<string, number> }>();
  t.match(files, { total: 1501, changed: 0, new: 0, gone: 0 }, 'a snapshot has the inodes of the files');
  machine.told();
  const dry = await machine.backup(['--dry-run']);
  t.equal(dry.status, 0, dry.stderr);
  await world.configure({ interval: '20h' });
  t.equal((await machine.backup()).json<{ status: string }>().status, 'skipped');
  t.strictSame(machine.told(), [], 'nothing stands still for a dry run, or for a run that is not due');
});

t.test('what changes while the run is read is not in it', async (t) => {
  await using machine = await makeMachine();
  const running = machine.start();
  await reaches(running, /first run/);
  running.process.kill('SIGSTOP');
  execFileSync('sh', ['-c', `for f in ${machine.data}/*/*; do echo changed > "$f"; done`]);
  fs.rmSync(`${machine.data}/folder 29`, { recursive: true });
  running.process.kill('SIGCONT');
  const { status, stdout, stderr } = await running.finished;
  t.equal(status, 0, stderr);
  t.match(stdout, /"status":"complete".*"total":1501,/);
  const found = execFileSync('sh', ['-c', `grep -rlx changed ${machine.world.storage}/latest/ | wc -l`]);
  t.equal(found.toString().trim(), '0');
  t.strictSame(machine.left(), []);
});

const POINTS = [
  'enter',
  'before snapshot',
  'after snapshot',
  'leave',
  'left',
  'before delete',
  'after delete',
];
const STAGES = [/mounting snapshots/, /first run|comparing with/, /publishing/];

t.test(
  'killed anywhere, the next run or recover brings the service back and removes the snapshot',
  async (t) => {
    await using machine = await makeMachine();
    const { world, data } = machine;
    let round = 0;
    const cleanUp = async (words: string): Promise<void> => {
      t.strictSame(findBrokenPromises(world.storage), [], `after a death at ${words}`);
      machine.at('');
      round += 1;
      if (round % 2 === 0) {
        const recovered = await world.bakker.run(['recover']);
        t.equal(recovered.status, 0, recovered.stderr);
        t.strictSame(machine.left(), [], `recover leaves nothing of a death at ${words}`);
      }
      fs.writeFileSync(`${data}/round`, `${round}`);
      const next = await machine.backup();
      t.equal(next.status, 0, `${words}: ${next.stderr}`);
      t.strictSame(machine.left(), [], `nothing is left after a death at ${words} and the next run`);
      t.equal(stateInRun(machine), 'steady');
    };
    for (const point of POINTS) {
      machine.at(point);
      fs.writeFileSync(`${data}/new`, point);
      const { status, stderr } = await machine.backup();
      t.equal(status, undefined, `it was killed at ${point}: ${stderr}`);
      t.ok(
        machine.left().length > 0 || point === 'after delete',
        `there is something to undo after ${point}`,
      );
      await cleanUp(point);
    }
    for (const stage of STAGES) {
      fs.writeFileSync(`${data}/new`, String(stage));
      const running = machine.start();
      await reaches(running, stage);
      running.process.kill('SIGKILL');
      await running.finished;
      await cleanUp(String(stage));
    }
  },
);

t.test('interrupted anywhere, a run leaves everything as it was', async (t) => {
  await using machine = await makeMachine();
  const before = completeRuns(machine.world.storage).length;
  for (const stage of [/entering services/, /taking snapshots/, /mounting snapshots/, /first run/]) {
    const running = machine.start();
    await reaches(running, stage);
    running.process.kill('SIGTERM');
    const { status, stderr } = await running.finished;
    t.equal(status, 130, stderr);
    t.strictSame(machine.left(), [], String(stage));
    const { undone } = (await machine.world.expect(['recover', '--json'])).json<{ undone: unknown[] }>();
    t.strictSame(undone, [], 'and nothing for recover to do');
  }
  t.equal(completeRuns(machine.world.storage).length, before);
});

t.test('a failing service or snapshot fails the run with 14, and the service runs', async (t) => {
  await using machine = await makeMachine();
  const { world } = machine;
  for (const point of ['failing entered', 'failing snapshot']) {
    machine.at(point);
    const { status, stderr } = await machine.backup();
    t.equal(status, 14, stderr);
    t.strictSame(machine.left(), [], point);
  }
  machine.at('failing leave');
  const stuck = await machine.backup();
  t.equal(stuck.status, 14, stuck.stderr);
  t.match(stuck.stderr, /leaving app failed/);
  t.strictSame(machine.left(), ['the service stands still'], 'it could not be left');
  t.equal((await machine.backup()).status, 14, 'no run begins beside it');
  t.strictSame(completeRuns(world.storage), [], 'nothing was published');
  machine.at('');
  t.equal((await machine.backup()).status, 0);
  t.strictSame(machine.left(), []);
});

t.test('what can not be removed is a warning; the run is published, and recover removes it', async (t) => {
  await using machine = await makeMachine();
  machine.at('failing delete');
  const result = await machine.backup();
  t.equal(result.status, 0, result.stderr);
  const [warning = ''] = result.json<{ warnings: string[] }>().warnings;
  t.match(warning, /is not undone: .*no room.*; bakker recover tries again/);
  t.strictSame(machine.left(), ['a snapshot']);
  t.equal(completeRuns(machine.world.storage).length, 1);
  machine.at('');
  await machine.world.expect(['recover']);
  t.strictSame(machine.left(), []);
});

t.test('a run whose snapshot was lost is not published', async (t) => {
  await using machine = await makeMachine();
  const running = machine.start();
  await reaches(running, /first run/);
  running.process.kill('SIGSTOP');
  for (const at of machine.left().filter((left) => left.startsWith('/'))) execFileSync('umount', ['-l', at]);
  running.process.kill('SIGCONT');
  const { status, stderr } = await running.finished;
  t.equal(status, 14, stderr);
  t.match(stderr, /is not mounted any more/);
  t.strictSame(completeRuns(machine.world.storage), []);
  t.strictSame(machine.left(), []);
});

t.test('dumps are part of the run, whatever is frozen around them and excluded elsewhere', async (t) => {
  await using machine = await makeMachine();
  const { world, data } = machine;
  execFileSync('sqlite3', [`${data}/app.sqlite`, "CREATE TABLE t (a); INSERT INTO t VALUES ('dumped')"]);
  const dumped = `${world.bakker.stateDir}/dumps/app.sqlite`;
  for (const snapshot of ['btrfs', 'none']) {
    await world.configure({
      snapshot,
      exclude: ['*.sqlite'],
      services: [{ name: 'app', 'sqlite-dump': { file: `${data}/app.sqlite` } }],
    });
    const result = await machine.backup();
    t.equal(result.status, 0, result.stderr);
    t.notOk(fs.existsSync(`${world.storage}/latest${data}/app.sqlite`), 'excluded');
    const found = execFileSync('sqlite3', [`${world.storage}/latest${dumped}`, 'SELECT a FROM t']);
    t.equal(found.toString().trim(), 'dumped');
    t.notOk('windowSeconds' in result.json<object>(), 'nobody stood still');
  }
});

t.test('without services and snapshots nothing is kept to undo', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  fs.writeFileSync(`${world.source}/file`, 'x');
  const report = await world.backup();
  t.notOk('snapshots' in report);
  t.notOk(fs.existsSync(`${world.bakker.stateDir}/undo.sqlite`));
});
