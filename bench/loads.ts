import { createCipheriv, createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

const GROUPS = 10;
const FILES_PER_FOLDER = 50;
const MIB = 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const CHANGED_BLOCKS = 16;

/** The tree of small files: sizes from 100 bytes to 46 KB, spread evenly on a logarithmic scale: 7.5 KB on average. */
export interface SmallFiles {
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Writes it: ten groups of folders of 50 files. Contents are the same every time and different in each file; three in
 * five are half redundant, as text is, the others do not compress.
 */
export function writeSmallFiles(folder: string, files: number): SmallFiles {
  const random = randomBytesOf('small files');
  let bytes = 0;
  for (let index = 0; index < files; index += 1) {
    if (index % FILES_PER_FOLDER === 0) mkdirSync(parentOf(folder, { index, files }), { recursive: true });
    const sizeBytes = Math.round(100 * 460 ** ((index * 0.618_033_988_75) % 1));
    writeFileSync(fileOf(folder, { index, files }), contentOf(random, index, sizeBytes));
    bytes += sizeBytes;
  }
  return { folder, files, bytes };
}

/** Changes one file in a hundred: every other one grows by a line, the rest is written anew. */
export function changeOnePercent({ folder, files }: SmallFiles, seed: number): void {
  const random = randomBytesOf(`change ${seed}`);
  for (let index = seed % 100; index < files; index += 100) {
    const file = fileOf(folder, { index, files });
    if (index % 200 < 100) appendFileSync(file, `one more line ${seed}\n`);
    else writeFileSync(file, contentOf(random, index, 4000 + (index % 7000)));
  }
}

/** Gives a folder with a tenth of all files another name, and from the next call on its old one again. */
export function renameTenth({ folder }: SmallFiles, count: number): void {
  const names = [`${folder}/group 3`, `${folder}/renamed group 3`];
  const [from = '', to = ''] = count % 2 === 0 ? names : names.reverse();
  renameSync(from, to);
}

/** Files of a few bytes each, to see what a file costs. */
export function writeTinyFiles(folder: string, files: number): void {
  for (let index = 0; index < files; index += 1) {
    if (index % FILES_PER_FOLDER === 0) mkdirSync(parentOf(folder, { index, files }), { recursive: true });
    writeFileSync(fileOf(folder, { index, files }), `content of ${index}`);
  }
}

/** An image, half of `bytes`, and two logs; none of them compresses. */
export function writeLargeFiles(folder: string, bytes: number): LargeFiles {
  const shares = { image: 0.5, 'log 1': 0.25, 'log 2': 0.25 };
  for (const [name, share] of Object.entries(shares)) {
    const random = randomBytesOf(`large file ${name}`);
    const descriptor = openSync(`${folder}/${name}`, 'w');
    for (let left = Math.round(bytes * share); left > 0; left -= 4 * MIB) {
      writeSync(descriptor, random(Math.min(left, 4 * MIB)));
    }
    closeSync(descriptor);
  }
  return { folder, names: Object.keys(shares), bytes };
}

export interface LargeFiles {
  readonly folder: string;
  readonly names: readonly string[];
  readonly bytes: number;
}

/**
 * Changes them as a day does: 16 blocks of 64 KiB all over the image are overwritten, and 1 MiB is appended to each log.
 *
 * @returns how much changed, and what undoes it, so that the next tool starts from the same
 */
export function changeLargeFiles(load: LargeFiles, seed: number): { changedBytes: number; undo: () => void } {
  const { folder } = load;
  const random = randomBytesOf(`change of large files ${seed}`);
  const imageBlocks = Math.floor(statSync(`${folder}/image`).size / BLOCK_BYTES);
  const places = new Set<number>();
  while (places.size < Math.min(CHANGED_BLOCKS, imageBlocks)) {
    places.add(random(4).readUInt32BE() % imageBlocks);
  }
  const image = openSync(`${folder}/image`, 'r+');
  const before = [...places].map((place) => {
    const block = Buffer.alloc(BLOCK_BYTES);
    readSync(image, block, 0, BLOCK_BYTES, place * BLOCK_BYTES);
    writeSync(image, random(BLOCK_BYTES), 0, BLOCK_BYTES, place * BLOCK_BYTES);
    return { block, offsetBytes: place * BLOCK_BYTES };
  });
  closeSync(image);
  const logs = ['log 1', 'log 2'].map((name) => `${folder}/${name}`);
  const logBytes = logs.map((log) => statSync(log).size);
  for (const log of logs) appendFileSync(log, random(MIB));
  return {
    changedBytes: before.length * BLOCK_BYTES + logs.length * MIB,
    undo() {
      const descriptor = openSync(`${folder}/image`, 'r+');
      for (const { block, offsetBytes } of before) writeSync(descriptor, block, 0, block.length, offsetBytes);
      closeSync(descriptor);
      for (const [index, log] of logs.entries()) truncateSync(log, logBytes[index]);
    },
  };
}

function parentOf(folder: string, { index, files }: { index: number; files: number }): string {
  const group = Math.floor((index * GROUPS) / files);
  return `${folder}/group ${group}/folder ${Math.floor(index / FILES_PER_FOLDER)}`;
}

function fileOf(folder: string, at: { index: number; files: number }): string {
  const first = at.index - (at.index % FILES_PER_FOLDER);
  return `${parentOf(folder, { index: first, files: at.files })}/file ${at.index}`;
}

function contentOf(random: (sizeBytes: number) => Buffer, index: number, sizeBytes: number): Buffer {
  if (index % 5 >= 3) return random(sizeBytes);
  return Buffer.from(
    random(Math.ceil(sizeBytes / 2))
      .toString('hex')
      .slice(0, sizeBytes),
    'latin1',
  );
}

/** A stream of bytes that is the same for the same seed, as quick as AES. */
function randomBytesOf(seed: string): (sizeBytes: number) => Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return (sizeBytes) => cipher.update(Buffer.alloc(sizeBytes));
}
