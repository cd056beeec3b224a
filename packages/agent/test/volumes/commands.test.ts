import fs from 'node:fs';
import t from 'tap';
import { makeTempFolder } from '../../../../test/harness/temp-folder.ts';
import { openBusy, untilIdle } from '../../src/adapters/volumes/busy.ts';
import { commandsFrom } from '../../src/adapters/volumes/commands.ts';

const command = commandsFrom();

t.test('a command that takes too long is told to end, and waited for', async (t) => {
  await using temp = await makeTempFolder('commands');
  const tidy = `sleep 300 >/dev/null 2>&1 & trap "kill $!; touch ${temp.path}/tidied; exit" TERM; wait`;
  await t.rejects(command(['sh', '-c', tidy], { timeoutMs: 400 }), {
    code: 'SNAPSHOT_FAILED',
    message: /^sh -c took longer than 0\.4 s$/,
  });
  t.ok(fs.existsSync(`${temp.path}/tidied`));
});

t.test('one that does not end is given up, and is still known to be at work', async (t) => {
  await using temp = await makeTempFolder('commands');
  const busyFile = `${temp.path}/busy`;
  const busyFd = openBusy(busyFile);
  const pidFile = `${temp.path}/pid`;
  const stuck = ['sh', '-c', `trap '' TERM; echo $$ >${pidFile}; exec sleep 300`];
  await t.rejects(command(stuck, { timeoutMs: 400, busyFd }), {
    code: 'SNAPSHOT_FAILED',
    exitStatus: 14,
    message: 'sh -c took longer than 0.4 s, and does not end',
  });
  fs.closeSync(busyFd);
  await t.rejects(untilIdle(busyFile, AbortSignal.timeout(100)), 'so its snapshot is not looked for yet');
  process.kill(Number(fs.readFileSync(pidFile, 'utf8')), 'SIGKILL');
  await untilIdle(busyFile, AbortSignal.timeout(5_000));
});
