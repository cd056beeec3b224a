import type { Test } from 'tap';
import type { BusyServer } from './busy-server.ts';
import { STEPS, type Step } from './stop-at.ts';

/** A run that dies from here on is published. */
const PUBLISHED: readonly Step[] = ['publish', 'unmount', 'remove'];

/** Whatever step a run is killed at, services come back and nothing stays; by systemd, without anybody's help. */
export async function kills(t: Test, server: BusyServer, steps: readonly Step[] = STEPS): Promise<void> {
  const { machine, say } = server;
  for (const step of steps) {
    const before = await server.latest();
    const { pid, seen } = await server.stopAt(step);
    await machine.must(`kill -9 ${pid}`);
    await server.thaw();
    t.equal(await server.left(), '', `killed at ${step}`);
    const after = await server.latest();
    t.equal(after !== before, PUBLISHED.includes(step), `${step}: what is published`);
    say(`kill -9 at ${step} (${seen}): all released, all write; latest is ${after || 'not there yet'}`);
  }
  await succeeds(t, server);
}

/** The same with the power cut, after the start that follows. */
export async function powerCuts(t: Test, server: BusyServer, steps: readonly Step[] = STEPS): Promise<void> {
  const { machine, say } = server;
  for (const step of steps) {
    const { seen } = await server.stopAt(step);
    await machine.powerOff();
    await machine.powerOn();
    t.equal(await server.left(), '', `power cut at ${step}`);
    const undone = await machine.must('journalctl -b -q -o cat -u bakker-recover.service');
    say(`power cut at ${step} (${seen}): all released, all write after the start\n${undone}`);
  }
  await succeeds(t, server);
  await machine.must('bakker verify --data --quiet');
  say(`all runs up to ${await server.latest()}: every file is there, and is as its hash says`);
}

async function succeeds(t: Test, server: BusyServer): Promise<void> {
  const { status, said } = await server.backUp();
  t.equal(status, 0, said);
  server.say(`the next run: ${said}`);
}
