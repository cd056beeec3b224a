import type { Test } from 'tap';
import type { Machine } from '../machine.ts';
import type { BusyServer } from './busy-server.ts';
import { STEPS, type Step } from './stop-at.ts';

/** A run that dies from here on is published. */
const PUBLISHED: readonly Step[] = ['publish', 'unmount', 'remove'];

/**
 * Whatever step a run dies at, services come back and nothing stays, without anybody's help: by systemd, where it is killed,
 * and by the start that follows, where the power is cut. Both happen to the same run: the cut to a copy of the machine.
 */
export async function deaths(t: Test, server: BusyServer, steps: readonly Step[] = STEPS): Promise<void> {
  const { machine, say } = server;
  for (const step of steps) {
    const before = await server.latest();
    const { pid, seen } = await server.stopAt(step);
    await cutPower(t, server, { step, isLast: step === steps.at(-1) });
    await machine.must(`kill -9 ${pid}`);
    await server.thaw();
    t.equal(await server.left(), '', `killed at ${step}`);
    const after = await server.latest();
    t.equal(after !== before, PUBLISHED.includes(step), `${step}: what is published`);
    say(`kill -9 at ${step} (${seen}): all released, all write; latest is ${after || 'not there yet'}`);
  }
  // what is published by a run that was killed later shows that the kill before it left nothing in the way
  if (!PUBLISHED.some((step) => steps.includes(step))) await succeeds(t, server);
}

async function cutPower(
  t: Test,
  server: BusyServer,
  { step, isLast }: { step: Step; isLast: boolean },
): Promise<void> {
  await using copy = await server.machine.cutCopy();
  await copy.powerOn();
  t.equal(await server.left(copy), '', `power cut at ${step}`);
  const undone = await copy.must('journalctl -b -q -o cat -u bakker-recover.service | grep Undone || true');
  server.say(`power cut at ${step}: all released, all write after the start\n${undone}`);
  if (!isLast) return;
  await succeeds(t, server, copy);
  await copy.must('bakker verify --quiet && bakker-storage scrub --account alder');
  server.say('every file of every run is there, and is as its hash says');
}

async function succeeds(t: Test, server: BusyServer, machine?: Machine): Promise<void> {
  const { status, said } = await server.backUp(machine);
  t.equal(status, 0, said);
  server.say(`the next run: ${said}`);
}
