import { open, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { tryLock } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { MountFacts, System, UnixGroup, UnixUser } from '../../ports/system.ts';
import * as files from './files.ts';
import { endProcessesOf, hangUp, hasProcesses } from './processes.ts';
import { mustSucceed, runProgram } from './programs.ts';

/** Of getent(1). */
const NO_SUCH_ENTRY = 2;

/** This machine. `searchFirst`: folder whose programs come before the system's. */
export function linuxSystem({ searchFirst }: { searchFirst?: string } = {}): System {
  const attempt = (argv: readonly string[]) => runProgram(argv, { searchFirst });
  /** Empty if there is no such entry; whatever else goes wrong must not look like that. */
  const entry = async (...words: readonly string[]): Promise<string> => {
    const argv = ['getent', ...words];
    const end = await attempt(argv);
    return end.status === NO_SUCH_ENTRY ? '' : mustSucceed(argv, end);
  };
  const bin = fileURLToPath(new URL('../../../bin/', import.meta.url));
  return {
    ...files,
    isRoot: process.geteuid?.() === 0,
    launcher: `${bin}bakker-storage`,
    loginShell: `${bin}bakker-storage-login`,
    unitTemplates: fileURLToPath(new URL('../../../../../systemd', import.meta.url)),
    try: attempt,
    run: async (argv) => mustSucceed(argv, await attempt(argv)),
    user: async (name) => parseUser(await entry('passwd', name)),
    group: async (name) => parseGroup(await entry('group', name)),
    hasProcesses,
    endProcessesOf,
    hangUp,
    mounts: async () => parseMounts(await readFile('/proc/self/mountinfo', 'latin1')),
    async exclusively(lockFile, act) {
      await using handle = await open(lockFile, 'a', 0o600);
      if (!tryLock(handle.fd)) {
        throw new StorageError('LOCKED', 'another bakker-storage is changing accounts now', {
          hint: 'wait until it is done, then run this again',
        });
      }
      return await act();
    },
  };
}

function parseUser(line: string): UnixUser | undefined {
  const [name, , uid, gid, comment = '', home = '', shell = ''] = line.trim().split(':');
  if (name === undefined || uid === undefined || gid === undefined) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), comment, home, shell };
}

function parseGroup(line: string): UnixGroup | undefined {
  const [, , gid, members = ''] = line.trim().split(':');
  if (gid === undefined) return undefined;
  return { gid: Number(gid), members: members.split(',').filter((name) => name !== '') };
}

/** proc(5): fields up to ` - `, of which the fifth is the mount point; then type, source and options. */
function parseMounts(text: string): MountFacts[] {
  const mounts: MountFacts[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , , mountPoint, mountOptions = ''] = before.split(' ');
    const [type, source, superOptions = ''] = after.split(' ');
    if (mountPoint === undefined || type === undefined || source === undefined) continue;
    mounts.push({
      mountPoint: unescape(mountPoint),
      type,
      source: unescape(source),
      options: [...mountOptions.split(','), ...superOptions.split(',')],
    });
  }
  return mounts;
}

function unescape(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
