import { execFile } from 'node:child_process';

/** Lines shown of each comparison. */
const SHOWN = 20;

export interface CompareOptions {
  /** False where the restoring user may not set owners. */
  readonly owners?: boolean;
  /** False for contents, names and modes alone: a tree that `rsync -a` brought from the storage. */
  readonly attributes?: boolean;
}

/**
 * Compares two trees by rsync, find, stat, getfacl and getfattr, never by bakker's own code.
 *
 * @returns one line for each difference (at most 20 of each tool); empty when the trees are the same
 */
export async function compareTrees(
  left: string,
  right: string,
  { owners = true, attributes = true }: CompareOptions = {},
): Promise<string[]> {
  const flags = attributes ? ['-aHAX'] : ['-a', '--no-t', '--no-p', '--no-o', '--no-g'];
  if (attributes && !owners) flags.push('--no-o', '--no-g');
  const byRsync = await output(
    'rsync',
    [...flags, '-n', '-c', '-i', '--delete', '--numeric-ids', `${left}/`, `${right}/`],
    left,
  );
  const differences = lines(byRsync).slice(0, SHOWN);
  if (!attributes) return differences;
  for (const list of [
    (folder: string) => listByFind(folder, owners),
    listDevices,
    (folder: string) => listAcls(folder, owners),
    listXattrs,
  ]) {
    differences.push(...difference(await list(left), await list(right)));
  }
  differences.push(...(await newlyAllocated(left, right)));
  return differences;
}

/** SHA-256 of every file, and every name, link count aside: what must never change in a complete run. */
export async function fingerprintTree(folder: string): Promise<string> {
  const sums = await output(
    'sh',
    ['-c', 'find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --zero | sha256sum'],
    folder,
  );
  const names = await output(
    'sh',
    ['-c', "find . ! -name . -printf '%P %y %l\\0' | LC_ALL=C sort -z | sha256sum"],
    folder,
  );
  return `${sums.trim()} ${names.trim()}`;
}

async function listByFind(folder: string, owners: boolean): Promise<string[]> {
  const who = owners ? '%U:%G ' : '';
  const common = `%y %m ${who}%T@`;
  const text = await output(
    'find',
    [
      '.',
      '(',
      '-type',
      'd',
      '-printf',
      `%P\\n${common}\\0`,
      '-o',
      '-printf',
      `%P\\n${common} %s %n %l inode=%i\\0`,
      ')',
    ],
    folder,
  );
  return nameInodes(text.split('\0').slice(0, -1).sort());
}

/** Says an inode by the first path that has it, so that link groups compare across file systems. */
function nameInodes(records: string[]): string[] {
  const firstPath = new Map<string, string>();
  return records.map((record) =>
    record.replace(/ inode=(\d+)$/, (_, inode: string) => {
      const path = record.slice(0, record.lastIndexOf('\n'));
      if (!firstPath.has(inode)) firstPath.set(inode, path);
      return ` one inode with ${firstPath.get(inode) ?? ''}`;
    }),
  );
}

async function listDevices(folder: string): Promise<string[]> {
  const printed = await output(
    'find',
    ['.', '(', '-type', 'b', '-o', '-type', 'c', ')', '-exec', 'stat', '-c', '%n device %t:%T', '{}', ';'],
    folder,
  );
  return lines(printed).sort();
}

async function listAcls(folder: string, owners: boolean): Promise<string[]> {
  const text = await output('getfacl', ['-R', '-P', '-n', '-p', '.'], folder);
  return paragraphs(owners ? text : text.replace(/^# (owner|group): .*\n/gm, ''));
}

async function listXattrs(folder: string): Promise<string[]> {
  const text = await output(
    'getfattr',
    ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', '.'],
    folder,
  );
  return paragraphs(text);
}

function paragraphs(text: string): string[] {
  const found = text.split('\n\n').map((paragraph) => paragraph.trim());
  return found.filter((paragraph) => paragraph !== '').sort();
}

/** Files whose holes were filled: they take more room than the original by over 64 KiB. */
async function newlyAllocated(left: string, right: string): Promise<string[]> {
  const allocated = async (folder: string): Promise<Map<string, number>> => {
    const text = await output('find', ['.', '-type', 'f', '-size', '+128k', '-printf', '%P\\n%b\\0'], folder);
    const records = text.split('\0').slice(0, -1);
    return new Map(
      records.map((record) => {
        const cut = record.lastIndexOf('\n');
        return [record.slice(0, cut), Number(record.slice(cut + 1)) * 512];
      }),
    );
  };
  const before = await allocated(left);
  const found: string[] = [];
  for (const [path, bytes] of await allocated(right)) {
    const original = before.get(path);
    if (original !== undefined && bytes > original + 65_536)
      found.push(`${path}: ${original} bytes allocated became ${bytes}`);
  }
  return found;
}

function difference(left: readonly string[], right: readonly string[]): string[] {
  const leftSet = new Set(left);
  const rightSet = new Set(right);
  return [
    ...left.filter((record) => !rightSet.has(record)).map((record) => `only left:  ${record}`),
    ...right.filter((record) => !leftSet.has(record)).map((record) => `only right: ${record}`),
  ].slice(0, SHOWN);
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Standard output as latin1, so that every byte of a name keeps a character of its own. */
function output(program: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { cwd, encoding: 'latin1', maxBuffer: 1 << 30, env: { ...process.env, LC_ALL: 'C' } },
      (error, stdout, stderr) => {
        if (error) reject(new Error(`${program}: ${stderr || error.message}`));
        else resolve(stdout);
      },
    );
  });
}
