/** What scripts/quickstart runs: the main job on real data, told in plain words. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { startSshd } from '../test/harness/sshd.ts';
import { BAKKER_STORAGE, startStorageMachine } from '../test/harness/storage-machine.ts';

const BAKKER = resolve(import.meta.dirname, '../packages/agent/bin/bakker');
const isRoot = process.getuid?.() === 0;
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());

/** Ends the demonstration with a sentence instead of a stack. */
class Stop extends Error {}

try {
  await demonstrate(resolve(process.argv[2] ?? '/usr/share/doc'));
} catch (error) {
  if (interruption.signal.aborted) {
    console.error('\nInterrupted; everything that was made here is removed.');
    process.exitCode = 130;
  } else if (error instanceof Stop) {
    console.error(`\nquickstart: ${error.message}`);
    process.exitCode = 1;
  } else throw error;
}

async function demonstrate(folder: string): Promise<void> {
  await checkFolder(folder);
  await using stack = new AsyncDisposableStack();
  const work = await mkdtemp(join(tmpdir(), 'bakker-quickstart-'));
  stack.defer(() => rm(work, { recursive: true, force: true }));
  await checkSpace(folder, work);

  const account = (await closedFolder())
    ? await openPlainAccount(stack)
    : await provisionAccount({ stack, folder, work });
  const storage = account.folder;

  // The user's folder is only read; what changes between the runs is made here.
  const notes = join(work, 'notes');
  await mkdir(notes);
  await writeFile(join(notes, 'kept.txt'), 'This file stays as it is.\n');
  await writeFile(join(notes, 'changed.txt'), 'This file will get a second line.\n');
  await writeFile(join(notes, 'renamed.txt'), 'This file will get another name.\n');

  const bakker = (...args: string[]): Promise<string> =>
    run(BAKKER, [...args, '--config', join(work, 'bakker.yaml'), '--state', join(work, 'state')], {
      shown: `bakker ${args.map(quote).join(' ')}`,
    });

  tell(`Enrolling: this server may now back up ${folder} and a small folder of notes to that account.`);
  const identity = ['--identity', account.identityFile, '--host-key', account.hostKeyFingerprint];
  await bakker('init', account.address, ...identity, '--source', folder, '--source', notes, '--yes');

  tell('First backup: everything is new.');
  await bakker('backup');

  tell(
    'Changing something: one of the notes grows, one gets another name, one is added. Then a second backup.',
  );
  await appendFile(join(notes, 'changed.txt'), 'The second line.\n');
  await rename(join(notes, 'renamed.txt'), join(notes, 'new-name.txt'));
  await writeFile(join(notes, 'added.txt'), 'This file is new.\n');
  await bakker('backup', '--force');

  tell('On the storage there are now two complete, plain folders, and latest points at the newer one:');
  await run('ls', ['-l', storage], { shown: `ls -l ${storage}` });
  const runs = (await readdir(storage)).filter((name) => /^\d{4}_\d{2}_\d{2}_\d+$/.test(name)).sort();
  await showHardLinks({ storage, runs, notes });
  await bakker('list');

  tell(
    'Restoring everything from latest, and comparing it with the original by rsync and diff, not by bakker:',
  );
  const restored = join(work, 'restored');
  await bakker('restore', '--from', 'latest', '--to', restored);
  for (const source of [folder, notes]) await compare(source, `${restored}${source}`);

  tell(`Done. All of it is removed again: the server, the account, ${work}.`);
}

interface Account {
  readonly address: string;
  /** On this disk. */
  readonly folder: string;
  readonly identityFile: string;
  readonly hostKeyFingerprint: string;
}

/** As an administrator of a storage machine does it: a Unix user of its own, that can do nothing but keep backups. */
async function provisionAccount(options: {
  stack: AsyncDisposableStack;
  folder: string;
  work: string;
}): Promise<Account> {
  tell(
    'Starting a private OpenSSH server on loopback: it plays the storage machine, with bakker-storage on it.',
  );
  const machine = options.stack.use(await startStorageMachine());
  const name = machine.newName();
  const key = await machine.newKey();
  tell('Making the account there: a Unix user of its own, which may add runs and can change none.');
  const sizeMib = 64 + Math.ceil((3 * (await sizeKib(options.folder))) / 1024);
  const words = ['provision', name, '--key', `${key.file}.pub`, '--size', `${sizeMib}M`];
  await run(BAKKER_STORAGE, [...words, '--etc', machine.etc, '--root', machine.rootDir], {
    shown: `bakker-storage ${words.join(' ')}`,
  });
  return {
    address: `ssh://${name}@127.0.0.1:${machine.port}/`,
    folder: join(machine.rootDir, name),
    identityFile: key.file,
    hostKeyFingerprint: machine.hostKeyFingerprint,
  };
}

/** Any SFTP account will do. */
async function openPlainAccount(stack: AsyncDisposableStack): Promise<Account> {
  tell(
    'Starting a private OpenSSH server on loopback: it plays the storage machine, nothing of bakker is on it.',
  );
  const server = stack.use(await startSshd());
  const { address, folder, identityFile } = await server.addAccount();
  console.log(`    ${address}`);
  console.log(`    its folder on this disk is ${folder}`);
  return { address, folder, identityFile, hostKeyFingerprint: server.hostKeyFingerprint };
}

/** Whether an account of its own could not be made: only root makes users, and they must reach this checkout. */
async function closedFolder(): Promise<boolean> {
  if (!isRoot) return true;
  for (let path = import.meta.dirname; path !== '/'; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) !== 0) continue;
    tell(`Other users can't reach ${path}, so bakker-storage can't be shown: a plain SFTP account is used.`);
    return true;
  }
  return false;
}

async function checkFolder(folder: string): Promise<void> {
  if (!existsSync(folder))
    throw new Stop(`${folder} does not exist; name a folder of yours: scripts/quickstart FOLDER`);
  if (!(await stat(folder)).isDirectory()) throw new Stop(`${folder} is no folder`);
  if ((await readdir(folder)).length === 0)
    throw new Stop(`${folder} is empty; name one with something in it`);
  // /tmp holds the storage itself: a backup of it would grow while it is made.
  if (tmpdir() === folder || tmpdir().startsWith(`${folder}/`) || folder === '/') {
    throw new Stop(
      `${folder} holds the temporary folder that this demonstration works in; name a smaller one`,
    );
  }
}

/** Once on the storage, once restored. */
async function checkSpace(folder: string, work: string): Promise<void> {
  const neededKib = 2 * (await sizeKib(folder));
  const { bavail, bsize } = await statfs(work);
  const freeKib = (bavail * bsize) / 1024;
  if (neededKib * 1.1 < freeKib) return;
  const inMib = (kib: number): string => `${Math.ceil(kib / 1024)} MiB`;
  throw new Stop(
    `${folder} needs ${inMib(neededKib)} in ${tmpdir()}, and ${inMib(freeKib)} are free; name a smaller one`,
  );
}

async function sizeKib(folder: string): Promise<number> {
  return Number((await run('du', ['-skx', folder], { quiet: true })).split('\t')[0]);
}

async function showHardLinks(shown: { storage: string; runs: string[]; notes: string }): Promise<void> {
  const { storage, runs, notes } = shown;
  const paths = (name: string): string[] => runs.map((run) => `${storage}/${run}${notes}/${name}`);
  tell('A file that did not change is a hard link: the same inode (first column) in both runs, stored once.');
  await run('ls', ['-li', ...paths('kept.txt')], { shown: 'ls -li */…/kept.txt' });
  const inodes = await Promise.all(paths('kept.txt').map(async (path) => (await stat(path)).ino));
  if (new Set(inodes).size !== 1)
    throw new Stop('the two are not the same inode: that is a fault, please report it');
  console.log('    → same inode');
  await run('ls', ['-li', ...paths('changed.txt')], { shown: 'ls -li */…/changed.txt' });
  console.log('    → two inodes: the older content is still there');
  tell('So the second run took next to no room, and yet each of them is whole:');
  await run('du', ['-sh', ...runs.map((run) => `${storage}/${run}`)], {
    shown: 'du -sh (shared files counted once)',
  });
  for (const name of runs)
    await run('du', ['-sh', `${storage}/${name}`], { shown: `du -sh ${name} (alone)` });
}

async function compare(original: string, restored: string): Promise<void> {
  // Without root nobody can give files to their owners, nor read every attribute.
  const flags = isRoot ? '-aHAX' : '-rlptH';
  const byRsync = await run('rsync', [flags, '-n', '-c', '-i', '--delete', `${original}/`, `${restored}/`], {
    quiet: true,
  });
  const byDiff = await run('diff', ['-r', '--no-dereference', original, restored], {
    quiet: true,
    mayFail: true,
  });
  const differences = `${byRsync}${byDiff}`.trim();
  if (differences !== '')
    throw new Stop(`${basename(original)} did not come back the same:\n${differences.slice(0, 2000)}`);
  console.log(`    ${original}: identical (rsync ${flags} --checksum, diff -r)`);
}

interface RunHow {
  /** How the command is shown before it runs; its output follows. */
  readonly shown?: string;
  readonly quiet?: boolean;
  readonly mayFail?: boolean;
}

/** @returns standard output */
function run(
  program: string,
  args: string[],
  { shown, quiet = false, mayFail = false }: RunHow,
): Promise<string> {
  interruption.signal.throwIfAborted();
  if (shown !== undefined) console.log(`  $ ${shown}`);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal: interruption.signal,
    killSignal: 'SIGTERM',
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (!quiet) process.stdout.write(text.replace(/^(?=.)/gm, '    '));
  });
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    child.on('close', (status) => {
      if (failure !== undefined) reject(failure);
      else if (status === 0 || mayFail) resolve(output);
      else reject(new Stop(`${shown ?? program} ended with status ${String(status)}`));
    });
  });
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function tell(text: string): void {
  interruption.signal.throwIfAborted();
  console.log(`\n${text}`);
}
