import fs from 'node:fs';
import path from 'node:path';
import { openServices } from '../../src/adapters/services/open-services.ts';
import { openStateFolder } from '../../src/adapters/state-folder.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { openUndoing } from '../../src/adapters/undo/open-undoing.ts';
import type { ServiceSettings } from '../../src/config/service-settings.ts';
import type { Service } from '../../src/ports/services.ts';
import type { UndoJournal } from '../../src/ports/undo-journal.ts';
import { enterAll } from '../../src/quiesce/enter-all.ts';

/** `run-window.ts FOLDER POINT`: enters and leaves, and dies without a word when it comes to the POINT. */
const [folder = '', fatal = ''] = process.argv.slice(2);
const settings = JSON.parse(fs.readFileSync(path.join(folder, 'services.json'), 'utf8')) as ServiceSettings[];
const state = await openStateFolder(path.join(folder, 'state'));
using _lock = await state.lock('backup');
using undoing = openUndoing(path.join(folder, 'state'), systemClock);

function come(point: string): void {
  if (point === fatal) process.kill(process.pid, 'SIGKILL');
}

/** Dies while a command is at work. */
async function amid(point: string, flag: string, work: Promise<void>): Promise<void> {
  if (point !== fatal) return await work;
  while (!fs.existsSync(path.join(folder, flag))) await new Promise((resolve) => setTimeout(resolve, 5));
  come(point);
}

let recorded = 0;
const names = new Map<number, string>();
const journal: UndoJournal = {
  record(step) {
    const name = settings[recorded++]?.name ?? '';
    come(`before-record ${name}`);
    const id = undoing.journal.record(step);
    names.set(id, name);
    come(`recorded ${name}`);
    return id;
  },
  settle(id) {
    come(`left ${names.get(id)}`);
    undoing.journal.settle(id);
    come(`settled ${names.get(id)}`);
  },
  async settleOnDisk(ids) {
    for (const id of ids) this.settle(id);
  },
  pending: () => undoing.journal.pending(),
};

const services = openServices(settings, path.join(folder, 'state')).services.map((service): Service => ({
  ...service,
  prepare: async (context) => {
    const prepared = await service.prepare(context);
    const { name } = service;
    return {
      ...prepared,
      enter: async (context) => {
        await amid(`entering ${name}`, `entering-${name}`, prepared.enter(context));
        come(`entered ${name}`);
      },
      leave: (context) => amid(`leaving ${name}`, `leaving-${name}`, prepared.leave(context)),
    };
  },
}));

const signal = new AbortController().signal;
await using entered = await enterAll(services, { journal, clock: systemClock, signal, windowMs: 60_000 });
come('snapshot');
if (fatal === 'stay') {
  fs.writeFileSync(path.join(folder, 'stays'), '');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}
await entered.leaveAll();
