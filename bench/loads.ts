import { createCipheriv, createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

const GROUPS = 10;
const FILES_PER_FOLDER = 50;
const MIB = 1024 * 1024;

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

/** Three files that do not compress, `bytes` in all. */
export function writeLargeFiles(folder: string, bytes: number): void {
  const shares = [0.5, 0.3, 0.2];
  for (const [index, share] of shares.entries()) {
    const random = randomBytesOf(`large file ${index}`);
    const descriptor = openSync(`${folder}/large file ${index}`, 'w');
    for (let left = Math.round(bytes * share); left > 0; left -= 4 * MIB) {
      writeSync(descriptor, random(Math.min(left, 4 * MIB)));
    }
    closeSync(descriptor);
  }
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
