import fs from 'node:fs';
import { join } from 'node:path';

/** Both stories of lvm-story.ts. */
export interface LvmAnswers {
  readonly thick: readonly string[];
  readonly thin: readonly string[];
}

/** Written by test/vm/record-lvm.ts from what LVM of Debian says in a machine. */
const FILE = join(import.meta.dirname, 'lvm-recorded.txt');
const BETWEEN = '\n\n';

export function readRecorded(): LvmAnswers {
  const [thick = [], thin = []] = fs
    .readFileSync(FILE, 'utf8')
    .trimEnd()
    .split(BETWEEN)
    .map((story) => story.split('\n'));
  return { thick, thin };
}

export function writeRecorded({ thick, thin }: LvmAnswers): void {
  fs.writeFileSync(FILE, `${[thick, thin].map((story) => story.join('\n')).join(BETWEEN)}\n`);
}
