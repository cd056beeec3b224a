/**
 * Stands in for lvs, lvcreate, lvremove and vgs where the kernel has no device mapper: `node fake-lvm.ts STATE PROGRAM …`.
 * A snapshot is a copy of the volume's image, made while its file system is frozen, on a loop device of its own. It says what
 * LVM says in the machine of test/vm/: fake-lvm.test.ts compares them.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface FakeVolume {
  readonly name: string;
  readonly image: string;
  /** `/dev/loop3` */
  readonly device: string;
  readonly sizeBytes: number;
  readonly attributes: string;
  readonly origin: string;
  readonly pool: string;
  readonly dataPercent: string;
  readonly tags: readonly string[];
}

export interface FakeGroup {
  readonly name: string;
  readonly freeBytes: number;
  /** lvcreate takes so long before it does anything, whoever asked for it. */
  readonly slowMs: number;
  readonly volumes: readonly FakeVolume[];
}

const EXTENT_BYTES = 4 * 2 ** 20;
/** No device of any machine has it. */
const POOL_NUMBER = '4095';
/** Of what is not active. */
const NONE = '-1';

export function readGroup(file: string): FakeGroup {
  return JSON.parse(readFileSync(file, 'utf8')) as FakeGroup;
}

/** Where the content of a snapshot lies. */
export const snapshotImage = (state: string, name: string): string => `${state}.${name}.img`;

export function writeGroup(file: string, group: FakeGroup): void {
  writeFileSync(`${file}.new`, JSON.stringify(group));
  renameSync(`${file}.new`, file);
}

if (import.meta.main) {
  const [state = '', program = '', ...args] = process.argv.slice(2);
  const lock = await takeLock(`${state}.lock`);
  try {
    await perform(state, program, args);
  } finally {
    lock();
  }
}

async function perform(state: string, program: string, args: readonly string[]): Promise<void> {
  const group = readGroup(state);
  const option = (name: string): string => args[args.indexOf(name) + 1] ?? '';
  if (program === 'vgs')
    process.stdout.write(args.at(-1)?.includes(`"${group.name}"`) ? `  ${group.name}\n` : '');
  else if (program === 'lvs') process.stdout.write(report(group, option('-S')));
  else if (program === 'lvremove') remove(state, group, args.at(-1) ?? '');
  else {
    await delay(group.slowMs);
    create(state, group, {
      name: option('--name'),
      tag: option('--addtag'),
      size: args.includes('--size') ? Number(option('--size').replace(/b$/, '')) : undefined,
      origin: (args.at(-1) ?? '').split('/')[1] ?? '',
    });
  }
}

function report(group: FakeGroup, select: string): string {
  const wanted = new Map(
    select.split(' && ').map((part): [string, string] => {
      const [field = '', value = ''] = part.split('=');
      return [field, value.replaceAll('"', '')];
    }),
  );
  const rows = group.volumes
    .map((volume) => rowOf(group, volume))
    .filter((row) => [...wanted].every(([field, value]) => row[field] === value));
  return JSON.stringify({ report: [{ lv: rows }] }, null, 2);
}

function rowOf(group: FakeGroup, volume: FakeVolume): Record<string, string> {
  const isPool = volume.attributes.startsWith('t');
  const device = volume.device === '' ? undefined : statSync(volume.device).rdev;
  return {
    vg_name: group.name,
    lv_name: volume.name,
    lv_path: volume.device,
    lv_attr: attributesOf(group, volume),
    lv_size: String(volume.sizeBytes),
    origin: volume.origin,
    pool_lv: volume.pool,
    data_percent: volume.dataPercent,
    metadata_percent: isPool ? '10.00' : '',
    lv_tags: volume.tags.join(','),
    lv_kernel_major: device === undefined ? (isPool ? POOL_NUMBER : NONE) : String(device >> 8),
    lv_kernel_minor: device === undefined ? (isPool ? POOL_NUMBER : NONE) : String(device & 0xff),
    vg_free: String(group.freeBytes),
    vg_extent_size: String(EXTENT_BYTES),
  };
}

/** lvs(8): the first letter is the kind, the sixth says `o` for open, the seventh `s` for what a thick snapshot concerns. */
function attributesOf(group: FakeGroup, { name, device, attributes }: FakeVolume): string {
  const letters = [...attributes];
  if (!attributes.startsWith('V') && group.volumes.some(({ origin }) => origin === name))
    [letters[0], letters[6]] = ['o', 's'];
  if (isMounted(device)) letters[5] = 'o';
  return letters.join('');
}

function isMounted(device: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${device} `);
}

function create(
  state: string,
  group: FakeGroup,
  wanted: { name: string; tag: string; size: number | undefined; origin: string },
): void {
  const origin = group.volumes.find(({ name }) => name === wanted.origin);
  if (origin === undefined) fail(`Failed to find logical volume "${group.name}/${wanted.origin}"`);
  if (group.volumes.some(({ name }) => name === wanted.name))
    fail(`Logical Volume "${wanted.name}" already exists in volume group "${group.name}"`);
  const isThin = origin.attributes.startsWith('V');
  if (isThin !== (wanted.size === undefined)) fail('a thin snapshot has no size, a thick one needs one');
  const size = wanted.size ?? 0;
  const inExtents = (bytes: number): number => bytes / EXTENT_BYTES;
  if (size > group.freeBytes) {
    const left = `${inExtents(group.freeBytes)} extents): ${inExtents(size)} required.`;
    fail(`Volume group "${group.name}" has insufficient free space (${left}`);
  }
  const image = snapshotImage(state, wanted.name);
  const mountPoint = output('findmnt', ['-rn', '-f', '-o', 'TARGET', '-S', origin.device]);
  output('fsfreeze', ['-f', mountPoint]);
  try {
    output('cp', ['--sparse=always', origin.image, image]);
  } finally {
    output('fsfreeze', ['-u', mountPoint]);
  }
  const device = output('losetup', ['-f', '--show', image]);
  const made: FakeVolume = {
    name: wanted.name,
    image,
    device,
    sizeBytes: isThin ? origin.sizeBytes : size,
    attributes: isThin ? 'Vwi-a-tz--' : 'swi-a-s---',
    origin: origin.name,
    pool: isThin ? origin.pool : '',
    dataPercent: '0.01',
    tags: [wanted.tag],
  };
  writeGroup(state, {
    ...group,
    freeBytes: group.freeBytes - size,
    volumes: [...group.volumes, made],
  });
  process.stdout.write(`  Logical volume "${made.name}" created.\n`);
}

function remove(state: string, group: FakeGroup, name: string): void {
  const found = group.volumes.find((volume) => `${group.name}/${volume.name}` === name);
  if (found === undefined) fail(`Failed to find logical volume "${name}"`);
  if (isMounted(found.device)) fail(`Logical volume ${name} contains a filesystem in use.`);
  output('losetup', ['-d', found.device]);
  rmSync(found.image);
  const freed = found.pool === '' ? found.sizeBytes : 0;
  writeGroup(state, {
    ...group,
    freeBytes: group.freeBytes + freed,
    volumes: group.volumes.filter((volume) => volume !== found),
  });
  process.stdout.write(`  Logical volume "${found.name}" successfully removed.\n`);
}

/** LVM's own commands wait for each other, too. */
async function takeLock(file: string): Promise<() => void> {
  for (;;) {
    try {
      closeSync(openSync(file, 'wx'));
      return () => rmSync(file);
    } catch {
      await delay(10);
    }
  }
}

function output(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8' }).trim();
}

function fail(words: string): never {
  process.stderr.write(`  ${words}\n`);
  rmSync(`${process.argv[2] ?? ''}.lock`, { force: true });
  process.exit(5);
}
