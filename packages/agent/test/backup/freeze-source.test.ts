import t from 'tap';
import type { Test } from 'tap';
import { freezeSource } from '../../src/backup/freeze-source.ts';
import type { FrozenSource } from '../../src/backup/freeze-source.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { FreezeTools } from '../../src/ports/frozen-source.ts';
import type { SourceTree } from '../../src/ports/source-tree.ts';
import type { Freeze, PlannedVolume, Volumes } from '../../src/ports/volumes.ts';
import { recover } from '../../src/undo/recover.ts';
import { FakeWorld } from '../quiesce/fake-world.ts';

const CONFIG = parseConfig('account: /a\nsources: [/data]\nsnapshot: lvm\nwindow: 5s\n', 'bakker.yaml');

const DATA = Buffer.from('/data');
const COPIED: PlannedVolume = {
  mountPoint: DATA,
  mountPoints: [DATA],
  type: 'xfs',
  device: '/dev/x',
  provider: 'reflink',
  moment: undefined,
  why: 'it can share blocks',
  sources: [DATA],
};

/** Services, snapshots and mounts in memory; the `failAt`-th thing that is done fails. */
class Machine extends FakeWorld {
  readonly made = new Set<string>();
  readonly abort = new AbortController();
  takesForEver = false;
  takeFails = false;
  neverLeaves = false;
  /** Folders of the service `db` that only a snapshot of one moment has whole. */
  oneMoment: readonly string[] = [];
  isLive = false;

  readonly live: SourceTree = {
    ...tree(),
    expand: async () => [
      { path: Buffer.from('/data'), excludes: [], oneFilesystem: true, honourMarkers: true },
    ],
  };

  get tools(): FreezeTools {
    const db = this.service('db', {
      oneMoment: this.oneMoment,
      ...(this.neverLeaves ? { hangs: 'leave' } : {}),
    });
    const services = [this.service('web'), db];
    return {
      journal: this.journal,
      undoers: { ...this.undoers, remove: async () => this.made.clear() },
      volumes: this.#volumes(),
      stopwatch: this.clock,
      openServices: () => ({
        services,
        holdMachine: this.holdMachine,
        dumpsFolder: '/dumps',
        hasDumps: true,
      }),
      openView: () => {
        this.effect('open view', () => this.made.add('descriptor'));
        return { ...tree(), close: () => void this.made.delete('descriptor') };
      },
    };
  }

  freeze(): Promise<FrozenSource> {
    return freezeSource(CONFIG, this.tools, {
      live: this.live,
      signal: this.abort.signal,
      onStage: () => undefined,
      onWarning: (text) => this.log.push(`warning ${text}`),
    });
  }

  #volumes(): Volumes {
    return {
      plan: async () => {
        this.effect('plan', () => undefined);
        return { volumes: [COPIED], warnings: [], isLive: this.isLive };
      },
      prepare: async (_plan, { journal, signal }): Promise<Freeze> => {
        this.effect('prepare', () => undefined);
        const id = journal.record({ kind: 'remove', name: 'snapshot' });
        return {
          take: async () => {
            if (this.takesForEver)
              await new Promise((_resolve, reject) => signal.addEventListener('abort', reject));
            signal.throwIfAborted();
            if (this.takeFails) throw new Error('lvcreate failed');
            this.effect('take', () => this.made.add('snapshot'));
          },
          mount: async () => {
            this.effect('mount', () => this.made.add('mount'));
            return {
              root: Buffer.from('/view'),
              warnings: [],
              problems: [],
              check: async () => this.effect('check', () => undefined),
            };
          },
          [Symbol.asyncDispose]: async () => {
            if (this.made.has('descriptor')) throw new Error('the view is in use');
            this.made.clear();
            journal.settle(id);
          },
        };
      },
    };
  }

  expectClean(t: Test, words: string): void {
    t.strictSame([...this.standing], [], `${words}: no service stands still`);
    t.strictSame([...this.made], [], `${words}: no snapshot, no mount`);
  }
}

function tree(): SourceTree {
  const absent = (): never => {
    throw new Error('not used here');
  };
  return {
    expand: absent,
    survey: absent,
    scan: absent,
    readWhole: absent,
    openReader: absent,
    confirm: absent,
    hasFolder: absent,
    openFile: absent,
  };
}

t.test('services are left before the snapshot is mounted, and the snapshot is taken between', async (t) => {
  const machine = new Machine();
  const frozen = await machine.freeze();
  const held = ['hold machine', 'look web', 'enter web', 'enter db', 'take', 'leave db', 'leave web'];
  const order = [...held, 'let machine go', 'mount', 'open view'];
  t.strictSame(
    machine.log.filter((words) => order.includes(words)),
    order,
  );
  t.strictSame(
    frozen.config.sources.map(({ path }) => path),
    ['/data', '/dumps'],
  );
  t.equal(frozen.windowMs, 0);
  await frozen[Symbol.asyncDispose]();
  await frozen[Symbol.asyncDispose]();
  machine.expectClean(t, 'disposed');
  t.strictSame(machine.rows, []);
});

t.test('a fault at every effect leaves no service standing, no snapshot and no mount', async (t) => {
  const { effects } = await whole();
  t.ok(effects > 15, `${effects} effects`);
  for (const failsAfter of [false, true]) {
    for (let failAt = 1; failAt <= effects; failAt++) {
      const machine = new Machine();
      Object.assign(machine, { failAt, failsAfter });
      const words = `effect ${failAt}${failsAfter ? ', done' : ''}`;
      try {
        await using frozen = await machine.freeze();
        await frozen.check();
        t.ok(machine.log.length > 0, words);
      } catch (error) {
        t.match(error, /injected/, words);
      }
      // What could not be left or settled is still recorded.
      machine.failAt = 0;
      const { failed } = await recover(machine.journal, machine.tools.undoers);
      t.strictSame(failed, [], words);
      t.strictSame(machine.rows, [], words);
      machine.expectClean(t, words);
    }
  }
});

t.test(
  'a snapshot that takes longer than the window is given up, and services were left in time',
  async (t) => {
    const machine = new Machine();
    machine.takesForEver = true;
    const config = { ...CONFIG, windowMs: 30 };
    const freezing = freezeSource(config, machine.tools, {
      live: machine.live,
      signal: machine.abort.signal,
      onStage: () => undefined,
      onWarning: (text) => machine.log.push(text),
    });
    await t.rejects(freezing, { code: 'QUIESCE_FAILED' });
    machine.expectClean(t, 'overdue');
    t.strictSame(machine.rows, []);
  },
);

t.test('a snapshot that fails does not hide that a service still stands still', async (t) => {
  const left = /; then leaving db failed: leaving db took longer than 0\.05 s/;
  const machine = new Machine();
  Object.assign(machine, { takeFails: true, neverLeaves: true });
  const error: unknown = await machine.freeze().catch((error: unknown) => error);
  t.match(error, { code: 'QUIESCE_FAILED', message: /^lvcreate failed; then/, hint: /bakker recover/ });
  t.match(error, { message: left });
  t.strictSame([...machine.standing], ['db']);

  const late = new Machine();
  Object.assign(late, { takesForEver: true, neverLeaves: true });
  const freezing = freezeSource({ ...CONFIG, windowMs: 30 }, late.tools, {
    live: late.live,
    signal: late.abort.signal,
    onStage: () => undefined,
    onWarning: () => undefined,
  });
  const overdue: unknown = await freezing.catch((error: unknown) => error);
  t.match(overdue, { code: 'QUIESCE_FAILED', message: /^the window of 0\.03 s was over; then/ });
  t.match(overdue, { message: left }, 'and not that all were released');
});

t.test('interrupted while the snapshot is taken, everything is undone', async (t) => {
  const machine = new Machine();
  machine.takesForEver = true;
  const freezing = machine.freeze();
  setTimeout(() => machine.abort.abort(new Error('interrupted')), 10);
  await t.rejects(freezing);
  machine.expectClean(t, 'interrupted');
  t.strictSame(machine.rows, []);
});

t.test(
  'where nothing can be frozen the live tree is read, services are left, and that is said',
  async (t) => {
    const machine = new Machine();
    machine.isLive = true;
    const services = [{ kind: 'redis' }] as unknown as typeof CONFIG.services;
    await using frozen = await freezeSource({ ...CONFIG, services }, machine.tools, {
      live: machine.live,
      signal: machine.abort.signal,
      onStage: () => undefined,
      onWarning: () => undefined,
    });
    t.equal(frozen.source, machine.live);
    t.match(frozen.warnings, [/^no file system is frozen/]);
    t.strictSame([...machine.standing], []);
  },
);

t.test('a database whose files are copied one after the other is told of', async () => {
  for (const [oneMoment, warnings] of [
    [['/data/db'], [/^db goes on writing to \/data\/db/]],
    [['/elsewhere'], []],
  ] as const) {
    const machine = new Machine();
    machine.oneMoment = oneMoment;
    await using frozen = await machine.freeze();
    t.match(frozen.warnings, warnings);
    t.equal(frozen.warnings.length, warnings.length);
  }
});

async function whole(): Promise<Machine> {
  const machine = new Machine();
  const frozen = await machine.freeze();
  await frozen.check();
  await frozen[Symbol.asyncDispose]();
  return machine;
}
