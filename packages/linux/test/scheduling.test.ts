import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import {
  allowedProcessors,
  isIdleAtDisk,
  onEveryThread,
  setAllowedProcessors,
  setIoPriority,
  setNice,
} from '../src/scheduling.ts';

const threads = (): string[] => readdirSync('/proc/self/task');
const ioPriorityOf = (thread: string): string =>
  execFileSync('ionice', ['-p', thread], { encoding: 'utf8' }).trim();
/** Field 19 of proc(5) stat; the name before it is in brackets and may hold anything. */
const niceOf = (thread: string): number =>
  Number(readFileSync(`/proc/self/task/${thread}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[16]);
const processorsOf = (thread: string): string | undefined =>
  /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))?.[1];

t.test('every thread steps back: at the disk, at the processor, and to some processors', async (t) => {
  const before = allowedProcessors();
  t.ok(before.length > 0);
  const one = before.slice(0, 1);
  const nice = Math.max(getPriority(), 3);
  onEveryThread((id) => {
    setIoPriority(id, { kind: 'best-effort', level: 7 });
    setNice(id, nice);
    setAllowedProcessors(id, one);
  });
  t.ok(threads().length > 1, 'Node has threads of its own');
  const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true });
  await new Promise((resolve) => worker.once('online', resolve));
  for (const thread of threads()) {
    t.equal(ioPriorityOf(thread), 'best-effort: prio 7');
    t.notOk(isIdleAtDisk(Number(thread)));
    t.equal(niceOf(thread), nice);
    t.equal(processorsOf(thread), String(one[0]));
  }
  t.same(allowedProcessors(), one);
  onEveryThread((id) => setIoPriority(id, { kind: 'idle' }));
  for (const thread of threads()) {
    t.equal(ioPriorityOf(thread), 'idle');
    t.ok(isIdleAtDisk(Number(thread)));
  }
  await worker.terminate();
  t.throws(() => setAllowedProcessors(0, []), { code: 'EINVAL' });
});
