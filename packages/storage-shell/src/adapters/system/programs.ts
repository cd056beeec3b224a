import { spawn } from 'node:child_process';
import { StorageError } from '../../errors.ts';
import type { ProgramEnd } from '../../ports/system.ts';

/** An administrator's `sudo` or a timer may have a short one. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MOST_OUTPUT_CHARACTERS = 8 * 1024 * 1024;

/**
 * Runs argv, never a shell, with an environment of its own. It is always let go to its end: half an lvcreate is worse than a
 * whole one that is undone.
 *
 * @throws StorageError UNSUPPORTED if it is not installed
 */
export function runProgram(
  argv: readonly string[],
  { searchFirst }: { searchFirst?: string | undefined },
): Promise<ProgramEnd> {
  const [program = '', ...args] = argv;
  const path = searchFirst === undefined ? PATH : `${searchFirst}:${PATH}`;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: path, LC_ALL: 'C', HOME: '/root' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C on the terminal is for us to answer.
      detached: true,
      cwd: '/',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(0, MOST_OUTPUT_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-65_536);
    });
    child.on('error', (cause) => {
      reject(
        new StorageError('UNSUPPORTED', `${program} can't be run: ${cause.message}`, {
          hint: `install it: ${PACKAGES[program] ?? 'it is part of the base system'}`,
          cause,
        }),
      );
    });
    child.on('close', (code, signal) => {
      if (signal !== null) stderr += `\nended by ${signal}`;
      resolve({ status: code ?? 128, stdout, stderr });
    });
  });
}

/** @throws StorageError FAILED, its cause being the `ProgramEnd`, if the status is not 0 */
export function mustSucceed(argv: readonly string[], end: ProgramEnd): string {
  if (end.status === 0) return end.stdout;
  const said = lastLines(end.stderr) || lastLines(end.stdout) || `status ${end.status}`;
  throw new StorageError('FAILED', `${argv.join(' ')}: ${said}`, { cause: end });
}

const PACKAGES: Readonly<Record<string, string>> = {
  lvs: 'Debian has it in lvm2',
  vgs: 'Debian has it in lvm2',
  lvcreate: 'Debian has it in lvm2',
  'mkfs.xfs': 'Debian has it in xfsprogs',
  xfs_growfs: 'Debian has it in xfsprogs',
  xfs_quota: 'Debian has it in xfsprogs',
  'mkfs.ext4': 'Debian has it in e2fsprogs',
  resize2fs: 'Debian has it in e2fsprogs',
  useradd: 'Debian has it in passwd',
  sshd: 'Debian has it in openssh-server',
};

/** What a program said at last, safe for a terminal. */
function lastLines(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return lines
    .slice(-3)
    .map((line) => line.trim().replace(/[\x00-\x1f\x7f-\x9f]/g, '?'))
    .join('; ');
}
