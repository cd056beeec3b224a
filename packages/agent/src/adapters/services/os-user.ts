import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import { AgentError } from '../../errors.ts';
import { environmentOfPrograms } from '../programs-environment.ts';

/** A user of this machine, as its name service knows it. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** @throws AgentError QUIESCE_FAILED if there is no such user */
export async function findUser(name: string): Promise<OsUser> {
  const { stdout } = await promisify(execFile)('getent', ['passwd', '--', name], {
    env: environmentOfPrograms(),
  }).catch((cause: unknown) => {
    throw new AgentError('QUIESCE_FAILED', `there is no user ${name} on this machine`, {
      hint: 'correct "user" in the configuration',
      cause,
    });
  });
  const [found, , uid, gid, , home, shell] = stdout.trimEnd().split(':');
  if (found === undefined || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) {
    throw new AgentError('QUIESCE_FAILED', `user ${name}: getent's answer can't be read`);
  }
  return { name: found, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
}

/** Whom this process runs as. */
export function ownUser(): OsUser {
  const { username, uid, gid, homedir, shell } = os.userInfo();
  return { name: username, uid, gid, home: homedir, shell: shell ?? '/bin/sh' };
}
