import { lvmProvider, removeLvmSnapshot } from '../../src/adapters/volumes/lvm.ts';
import type { RunCommand } from '../../src/adapters/volumes/commands.ts';
import type { Job } from '../../src/adapters/volumes/provider.ts';
import { LVM_FIELDS } from '../../src/volumes/lvm-report.ts';
import { source } from './world.ts';

/** LVM with a mounted volume `vg0/data` of 48 MiB with ext4, real or played, and what happens to it meanwhile. */
export interface LvmAtHand {
  readonly command: RunCommand;
  readonly device: { readonly major: number; readonly minor: number };
  mountSnapshot(name: string): Promise<void>;
  unmountSnapshot(name: string): Promise<void>;
  /** A volume that a power cut kept from becoming a snapshot. */
  makeHalf(name: string): Promise<void>;
  /** Leaves no room in the group, or gives it back. */
  setFull(isFull: boolean): Promise<void>;
  /** Writes so much to the volume that the snapshot of 16 MiB has no room for it. */
  overflow(name: string): Promise<void>;
}

const NAME = 'bakker-story-0';
const UNDO = { group: 'vg0', name: NAME, origin: 'data' };

/**
 * Takes bakker's part of LVM through a thick snapshot's life: made, in use, overflowed, removed.
 *
 * @returns all that was asked and answered, without what differs from one machine to the next: `#` when, `$` the command,
 *   `=` its status, `|` each line or row that it printed, `!` each complaint
 */
export async function thickStory(lvm: LvmAtHand): Promise<string[]> {
  const record = new Recorder(lvm.command);
  const { provider, job, context } = cast(lvm, record);
  const snapshot = await takeFirst(record, { provider, job, context });
  await provider.look(job.volume);
  record.at('the name is taken');
  await failing(provider.take([job], context));
  record.at('the group is full');
  await lvm.setFull(true);
  const another = { ...job, index: 1 };
  await provider.review([another]);
  await failing(provider.take([another], context));
  await lvm.setFull(false);
  await useMounted(lvm, record, snapshot);
  record.at('overflowed');
  await lvm.overflow(NAME);
  await failing(snapshot.check());
  record.at('removed');
  await removeLvmSnapshot(UNDO, record.command);
  await provider.look(job.volume);
  await removeLvmSnapshot(UNDO, record.command);
  await record.command(['lvremove', '--yes', '--quiet', `vg0/${NAME}`]);
  record.at('never became one');
  await lvm.makeHalf(NAME);
  await removeLvmSnapshot(UNDO, record.command);
  record.at('another group');
  await failing(removeLvmSnapshot({ ...UNDO, group: 'vg9' }, record.command));
  return record.lines;
}

/** The same for a thin one, which has no size of its own. */
export async function thinStory(lvm: LvmAtHand): Promise<string[]> {
  const record = new Recorder(lvm.command);
  const { provider, job, context } = cast(lvm, record);
  const snapshot = await takeFirst(record, { provider, job, context });
  await useMounted(lvm, record, snapshot);
  record.at('removed');
  await removeLvmSnapshot(UNDO, record.command);
  await provider.look(job.volume);
  return record.lines;
}

async function takeFirst(record: Recorder, { provider, job, context }: ReturnType<typeof cast>) {
  record.at('before');
  await provider.look(job.volume);
  await provider.review([job]);
  record.at('taken');
  const [snapshot] = await provider.take([job], context);
  if (snapshot === undefined) throw new Error('nothing was taken');
  await snapshot.check();
  return snapshot;
}

async function useMounted(
  lvm: LvmAtHand,
  record: Recorder,
  snapshot: Awaited<ReturnType<typeof takeFirst>>,
): Promise<void> {
  record.at('mounted');
  await lvm.mountSnapshot(NAME);
  await snapshot.check();
  await failing(removeLvmSnapshot(UNDO, record.command));
  await lvm.unmountSnapshot(NAME);
}

function cast(lvm: LvmAtHand, { command }: Recorder) {
  const primary = {
    mountPoint: Buffer.from('/data'),
    type: 'ext4',
    ...lvm.device,
    filesystem: 'data',
    root: Buffer.from('/'),
    source: '/dev/vg0/data',
    isPseudo: false,
    isNested: false,
  };
  const wanted = source('/data', { provider: 'lvm', lvmSize: { sizeBytes: 16 * 2 ** 20 } });
  const job: Job = {
    volume: { primary, mounts: [primary], sources: [wanted] },
    index: 0,
  };
  const context = {
    name: 'bakker-story',
    record: () => undefined,
    busyFile: '/nowhere',
    busyFd: 0,
    signal: new AbortController().signal,
  };
  return { provider: lvmProvider(command), job, context };
}

async function failing(work: Promise<unknown>): Promise<void> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure === undefined) throw new Error('it should have failed');
}

class Recorder {
  readonly lines: string[] = [];
  readonly #real: RunCommand;
  #freeBytes: number | undefined;

  constructor(real: RunCommand) {
    this.#real = real;
  }

  at(when: string): void {
    this.lines.push(`# ${when}`);
  }

  readonly command: RunCommand = async (argv) => {
    const end = await this.#real(argv);
    const asked = argv.join(' ').replace(LVM_FIELDS.join(','), 'FIELDS');
    const printed = end.stdout.toString();
    this.lines.push(
      `$ ${asked.replace(/(lv_kernel_\w+=)\d+/g, '$1N')}`,
      `= ${end.status ?? 'not installed'}`,
      ...(argv[0] === 'lvs' ? this.#rows(printed) : linesOf(printed)).map((line) => `| ${line}`),
      ...linesOf(end.stderr).map((line) => `! ${line}`),
    );
    return end;
  };

  #rows(text: string): string[] {
    const { report } = JSON.parse(text) as { report: { lv: Record<string, string>[] }[] };
    return report.flatMap(({ lv }) => lv.map((row) => this.#comparable(row)));
  }

  #comparable(row: Record<string, string>): string {
    const { vg_free = '', lv_path, data_percent, metadata_percent, lv_kernel_major, lv_kernel_minor } = row;
    this.#freeBytes ??= Number(vg_free);
    const share = (value = ''): string => (value === '' || value === '100.00' ? value : 'less');
    const number = (value = ''): string => (value === '-1' ? value : 'N');
    const shown = {
      ...row,
      lv_path: lv_path === '' ? '' : 'path',
      data_percent: share(data_percent),
      metadata_percent: share(metadata_percent),
      lv_kernel_major: number(lv_kernel_major),
      lv_kernel_minor: number(lv_kernel_minor),
      vg_free: Number(vg_free) === 0 ? '0' : `all${Number(vg_free) - this.#freeBytes || ''}`,
    };
    return Object.entries(shown)
      .map(([field, value]) => `${field}=${value}`)
      .join(' ');
  }
}

/** Numbers in what is printed are the machine's own. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replace(/\b\d+\b/g, 'N'))
    .filter((line) => line !== '');
}
