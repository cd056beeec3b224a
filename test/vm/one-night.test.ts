import t from 'tap';
import { automounted } from './whole-scenario/automounted.ts';
import { inTurn, startBusyServer } from './whole-scenario/busy-server.ts';
import { deaths } from './whole-scenario/deaths.ts';
import { restoredDatabases } from './whole-scenario/restored-databases.ts';
import { timerRun } from './whole-scenario/timer-run.ts';

// As much of the whole scenario as each test run has time for; it says what it sees on standard error.
t.setTimeout(7_200_000);

await t.test('a server with databases that are written to all the time, for one night', async (t) => {
  await using server = await startBusyServer();
  await inTurn(t, server, [
    ['is backed up by its timer, from snapshots', timerRun],
    ['gets its databases up again from what is stored', restoredDatabases],
    ['has mounted for it only what is a source', automounted],
    ['comes back by itself when a run is killed, or the power is cut, in its middle', inTheMiddle],
  ]);
});

/** Of all steps the one with most to undo: services stand still, and a snapshot may be half made. */
function inTheMiddle(...[t, server]: Parameters<typeof deaths>): Promise<void> {
  return deaths(t, server, ['snapshot']);
}
