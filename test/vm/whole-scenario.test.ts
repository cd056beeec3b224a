import t from 'tap';
import { automounted } from './whole-scenario/automounted.ts';
import { inTurn, startBusyServer } from './whole-scenario/busy-server.ts';
import { deaths } from './whole-scenario/deaths.ts';
import { fullVolume } from './whole-scenario/full-volume.ts';
import { overflowingSnapshot } from './whole-scenario/overflowing-snapshot.ts';
import { restoredDatabases } from './whole-scenario/restored-databases.ts';
import { timerRun } from './whole-scenario/timer-run.ts';

// It says what it sees on standard error. One machine for all of it: setting it up takes as long as most of its parts.
t.setTimeout(7_200_000);

await t.test('a server with databases that are written to all the time', async (t) => {
  await using server = await startBusyServer();
  await inTurn(t, server, [
    ['is backed up by its timer, from snapshots', timerRun],
    ['gets its databases up again from what is stored', restoredDatabases],
    ['has mounted for it only what is a source', automounted],
    ['publishes nothing of a snapshot that overflowed', overflowingSnapshot],
    ['fills no volume but its own, and goes on once that has grown', fullVolume],
    ['comes back by itself whatever step a run is killed at, or the power is cut at', deaths],
  ]);
});
