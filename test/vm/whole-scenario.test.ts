import t from 'tap';
import { startBusyServer } from './whole-scenario/busy-server.ts';
import { killsAtEachStep, powerCuts } from './whole-scenario/deaths.ts';
import { overflowingSnapshot } from './whole-scenario/overflowing-snapshot.ts';
import { restoredDatabases } from './whole-scenario/restored-databases.ts';
import { timerRun } from './whole-scenario/timer-run.ts';

// It says what it sees on standard error. One machine for all of it: setting it up takes as long as most of its parts.
t.setTimeout(5_400_000);

await t.test('a server with databases that are written to all the time', async (t) => {
  await using server = await startBusyServer();
  const parts = [
    ['is backed up by its timer, from snapshots', timerRun],
    ['gets its databases up again from what is stored', restoredDatabases],
    ['publishes nothing of a snapshot that overflowed', overflowingSnapshot],
    ['comes back by itself whatever step a run is killed at', killsAtEachStep],
    ['comes back by itself when the power is cut in the middle of a run', powerCuts],
  ] as const;
  for (const [name, part] of parts) {
    server.say(`-- it ${name}`);
    await t.test(name, (t) => part(t, server));
  }
  server.say('-- done');
});
