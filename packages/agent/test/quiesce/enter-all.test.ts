import t from 'tap';
import { AgentError } from '../../src/errors.ts';
import { enterAll } from '../../src/quiesce/enter-all.ts';
import type { EnterOptions } from '../../src/quiesce/enter-all.ts';
import { recover, recoverOrFail } from '../../src/undo/recover.ts';
import { aborted, FakeWorld } from './fake-world.ts';

const NEVER = new AbortController().signal;

function options(world: FakeWorld, given: Partial<EnterOptions> = {}): EnterOptions {
  return { journal: world.journal, clock: world.clock, signal: NEVER, windowMs: 60_000, ...given };
}

async function throughTheWindow(world: FakeWorld): Promise<void> {
  const services = [world.service('db'), world.service('web'), world.service('files')];
  await using entered = await enterAll(services, options(world));
  world.log.push('snapshot');
  await entered.leaveAll();
}

t.test(
  'services are entered in order and left in reverse, recorded before, and forgotten when all are left',
  async (t) => {
    const world = new FakeWorld();
    await throughTheWindow(world);
    t.same(world.log, [
      ...['look db', 'record db', 'enter db'],
      ...['look web', 'record web', 'enter web'],
      ...['look files', 'record files', 'enter files'],
      'snapshot',
      ...['leave files', 'leave web', 'leave db', 'settle', 'settle', 'settle'],
    ]);
  },
);

t.test(
  'whatever fails, no service stands still that is not recorded, and recovery leaves the rest',
  async (t) => {
    const whole = new FakeWorld();
    await throughTheWindow(whole);
    t.equal(whole.effects, 15);
    for (const failsAfter of [false, true]) {
      for (let failAt = 1; failAt <= whole.effects; failAt++) {
        const world = new FakeWorld();
        Object.assign(world, { failAt, failsAfter });
        const where = `effect ${failAt}${failsAfter ? ', once done' : ''}`;
        await t.rejects(
          throughTheWindow(world),
          { code: 'QUIESCE_FAILED', exitStatus: 14, message: /injected/ },
          where,
        );
        const recorded = world.rows.map(({ step }) => step['name']);
        for (const name of world.standing) t.ok(recorded.includes(name), `${name} is recorded, ${where}`);
        const entered = world.log.filter((line) => line.startsWith('enter ')).map((line) => line.slice(6));
        const { failed } = await recover(world.journal, world.undoers);
        t.same(failed, [], where);
        t.same([...world.standing], [], where);
        t.same(world.rows, [], where);
        const left = world.log.filter((line) => line.startsWith('leave ')).map((line) => line.slice(6));
        for (const name of entered) t.ok(left.includes(name), `${name} is left, ${where}`);
      }
    }
  },
);

t.test('a failed entering names the service and keeps the cause', async (t) => {
  const world = new FakeWorld();
  world.failAt = 3;
  const error = await enterAll([world.service('db')], options(world)).catch((error: unknown) => error);
  t.ok(error instanceof AgentError);
  t.match(error, { code: 'QUIESCE_FAILED', cause: { message: 'injected at enter db' } });
});

t.test('what can not be left stays recorded, the others are left, and the run must not go on', async (t) => {
  const world = new FakeWorld();
  const services = [world.service('db'), world.service('web', { hangs: 'leave' }), world.service('files')];
  const entered = await enterAll(services, options(world));
  await t.rejects(entered.leaveAll(), {
    code: 'QUIESCE_FAILED',
    message: /^leaving web failed: leaving web took longer than 0\.05 s: was stopped$/,
    hint: /bakker recover/,
  });
  await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED' }, 'the same again');
  await entered[Symbol.asyncDispose]();
  t.same([...world.standing], ['web']);
  t.same(
    world.rows.map(({ step }) => step['name']),
    ['web'],
  );
});

t.test('a service that does not enter in time is left with all before it', async (t) => {
  const world = new FakeWorld();
  const services = [world.service('db'), world.service('web', { hangs: 'enter' }), world.service('never')];
  await t.rejects(enterAll(services, options(world)), {
    code: 'QUIESCE_FAILED',
    message: 'entering web took longer than 0.05 s: was stopped',
  });
  t.same([...world.standing], []);
  t.same(world.rows, []);
  t.notMatch(world.log.join(), /never/);
});

t.test('an interruption while entering leaves everything and is what the run fails with', async (t) => {
  const world = new FakeWorld();
  const stop = new AbortController();
  const reason = new AgentError('INTERRUPTED', 'interrupted by SIGTERM');
  const web = world.service('web', { hangs: 'enter' });
  const entering = enterAll(
    [world.service('db'), { ...web, timeoutMs: 10_000 }],
    options(world, { signal: stop.signal }),
  );
  while (!world.standing.has('web')) await new Promise(setImmediate);
  stop.abort(reason);
  t.equal(await entering.catch((error: unknown) => error), reason);
  t.same([...world.standing], []);
  t.same(world.rows, []);
});

t.test('leaving is deaf to the interruption', async (t) => {
  const world = new FakeWorld();
  const stop = new AbortController();
  const entered = await enterAll([world.service('db')], options(world, { signal: stop.signal }));
  stop.abort(new Error('interrupted'));
  await entered.leaveAll();
  t.same([...world.standing], []);
});

t.test('leaving twice, or at the end of the block, leaves once', async (t) => {
  const world = new FakeWorld();
  {
    await using entered = await enterAll([world.service('db')], options(world));
    const [first, second] = await Promise.all([entered.leaveAll(), entered.leaveAll()]);
    t.same(first, second);
  }
  t.equal(world.log.filter((line) => line === 'leave db').length, 1);
});

t.test(
  'the watchdog leaves everything when the snapshot takes too long, and the snapshot is refused',
  async (t) => {
    const world = new FakeWorld();
    const entered = await enterAll(
      [world.service('db'), world.service('web')],
      options(world, { windowMs: 30 }),
    );
    await new Promise((resolve) => entered.overdue.addEventListener('abort', resolve));
    while (world.standing.size > 0) await new Promise(setImmediate);
    t.same(world.log.slice(-4), ['leave web', 'leave db', 'settle', 'settle'], 'without anybody asking');
    t.match(entered.overdue.reason, { code: 'QUIESCE_FAILED' });
    await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED', message: /released after 0\.03 s/ });
  },
);

t.test('a snapshot that was there in time is good, however long the services take to start', async (t) => {
  const world = new FakeWorld();
  const slow = world.service('web', { leavesAfterMs: 90, takesMs: 45_000 });
  const entered = await enterAll([world.service('db'), slow], options(world, { windowMs: 30 }));
  const { windowMs } = await entered.leaveAll();
  t.equal(windowMs, 90_000, 'all the time that services stood still');
  t.notOk(entered.overdue.aborted);
});

t.test('a service that somebody woke is left, forgotten, and its snapshot refused', async (t) => {
  const world = new FakeWorld();
  const stoodStill = async (): Promise<void> => {
    t.same([...world.standing], ['db', 'web'], 'looked at before any is left');
    throw new AgentError('QUIESCE_FAILED', 'web ran');
  };
  const services = [world.service('db'), world.service('web', { stoodStill })];
  const entered = await enterAll(services, options(world));
  await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED', message: 'web ran' });
  await t.rejects(entered.leaveAll(), { message: 'web ran' }, 'the same again');
  t.same([...world.standing], []);
  t.same(world.rows, []);
});

t.test('looking whether a service stood still ends with the window', async (t) => {
  const world = new FakeWorld();
  const stoodStill = ({ signal }: { signal: AbortSignal }): Promise<never> => aborted(signal);
  const entered = await enterAll([world.service('db', { stoodStill })], options(world, { windowMs: 30 }));
  const message = /^the services were released after 0\.03 s, before all had told that they stood still$/;
  await t.rejects(entered.leaveAll(), { code: 'QUIESCE_FAILED', message });
  t.same([...world.standing], []);
});

t.test('the watchdog also ends an entering that takes too long', async (t) => {
  const world = new FakeWorld();
  const slow = { ...world.service('web', { hangs: 'enter' }), timeoutMs: 10_000 };
  await t.rejects(enterAll([world.service('db'), slow], options(world, { windowMs: 30 })), {
    code: 'QUIESCE_FAILED',
    message: /released after 0\.03 s/,
  });
  t.same([...world.standing], []);
  t.same(world.rows, []);
});

t.test(
  'the window is from the first service that stands still to the last that is left; dumps before it are free',
  async (t) => {
    const world = new FakeWorld();
    const entered = await enterAll(
      [
        world.service('dump', { dump: true, takesMs: 1_000 }),
        world.service('db', { takesMs: 10 }),
        world.service('web', { takesMs: 3 }),
      ],
      options(world),
    );
    world.nowMs += 5;
    const report = await entered.leaveAll();
    t.same(report, {
      windowMs: 10 + 3 + 5 + 3 + 10,
      services: [
        { name: 'db', stoodStillMs: 31 },
        { name: 'web', stoodStillMs: 11 },
      ],
    });
    t.same(entered.files(), ['/dumps/dump']);
  },
);

t.test('the machine is held from looking at the first that stands still until all are left', async (t) => {
  const world = new FakeWorld();
  const services = [world.service('dump', { dump: true }), world.service('db'), world.service('web')];
  const entered = await enterAll(services, options(world, { holdMachine: world.holdMachine }));
  await entered.leaveAll();
  t.same(world.log.slice(0, 4), ['look dump', 'enter dump', 'hold machine', 'look db']);
  t.same(
    world.log.slice(-4),
    ['leave db', 'let machine go', 'settle', 'settle'],
    'a slow disk keeps no other bakker waiting',
  );
  t.equal(world.log.filter((line) => line === 'hold machine').length, 1);
});

t.test(
  'a machine that another holds is waited for only so long, and then nothing stands still',
  async (t) => {
    const world = new FakeWorld();
    const holdMachine = async ({ signal }: { signal: AbortSignal }): Promise<never> => aborted(signal);
    const db = { ...world.service('db'), timeoutMs: 5 };
    await t.rejects(enterAll([db], options(world, { holdMachine, windowMs: 15 })), {
      code: 'QUIESCE_FAILED',
      message: 'was stopped',
    });
    t.same(world.log, []);
    const stop = new AbortController();
    const reason = new AgentError('INTERRUPTED', 'interrupted by SIGTERM');
    const waiting = enterAll([world.service('db')], options(world, { holdMachine, signal: stop.signal }));
    stop.abort(reason);
    t.equal(await waiting.catch((error: unknown) => error), reason);
  },
);

t.test('recovery undoes newest first, keeps what fails, and goes on with the others', async (t) => {
  const world = new FakeWorld();
  for (const name of ['one', 'two', 'three'])
    world.journal.record({ kind: 'leave', name, what: `leave ${name}` });
  world.journal.record({ kind: 'from the future', what: 'fold space' });
  world.failAt = world.effects + 2; // leave two
  const { undone, failed } = await recover(world.journal, world.undoers);
  t.same(
    undone.map(({ step }) => step['name']),
    ['three', 'one'],
  );
  t.same(
    failed.map(({ message }) => message),
    ['this version of bakker can\'t undo "from the future"', 'injected at leave two'],
  );
  t.same(
    world.rows.map(({ step }) => step['what']),
    ['fold space', 'leave two'],
  );
  const told: string[] = [];
  await t.rejects(
    recoverOrFail({ journal: world.journal, undoers: world.undoers }, (words) => told.push(words)),
    { code: 'RECOVER_INCOMPLETE', exitStatus: 14, message: /fold space: this version/ },
  );
  t.same(told, ['leave two']);
});

t.test('recovery does not let services wait for a snapshot that can not be removed', async (t) => {
  const world = new FakeWorld();
  const { journal } = world;
  journal.record({ kind: 'remove', what: 'remove the folder' });
  await using _dead = await enterAll([world.service('db'), world.service('web')], options(world));
  journal.record({ kind: 'remove', what: 'remove the snapshot' });
  const standing: string[][] = [];
  const remove = async (): Promise<never> => {
    standing.push([...world.standing]);
    throw new AgentError('SNAPSHOT_FAILED', 'the volume group is not there', {
      hint: 'bring its disks back',
    });
  };
  const { undone, failed } = await recover(journal, { ...world.undoers, remove });
  t.same(
    undone.map(({ step }) => step['name']),
    ['web', 'db'],
  );
  t.match(failed, [{ hint: 'bring its disks back' }, {}]);
  t.same(standing, [[], []]);
  await t.rejects(
    recoverOrFail({ journal, undoers: { remove } }, () => undefined),
    {
      code: 'RECOVER_INCOMPLETE',
      hint: 'bring its disks back; bakker recover tries again and lists every step',
    },
  );
});

t.test('a step has a time limit of its own in recovery', async (t) => {
  const world = new FakeWorld();
  world.journal.record({ kind: 'hang', what: 'thaw', timeoutMs: 20 });
  world.journal.record({ kind: 'leave', name: 'web' });
  const undoers = { ...world.undoers, hang: () => new Promise<void>(() => undefined) };
  const stubborn = recover(world.journal, undoers);
  const { undone, failed } = await stubborn;
  t.equal(undone.length, 1);
  t.match(failed, [{ message: /^thaw took longer than 0\.02 s/ }]);
});
