/** Writes down what real LVM answers bakker, for the one that is played where there is none: `node test/vm/record-lvm.ts`. */
import { writeRecorded } from '../../packages/agent/test/volumes/lvm-recorded.ts';
import { lvmAnswers } from './lvm-in-machine.ts';
import { startMachine } from './machine.ts';

await using machine = await startMachine({ disks: ['300M'], hasBakker: false });
writeRecorded(await lvmAnswers(machine, machine.disks[0] ?? ''));
