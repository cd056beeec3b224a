import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { environmentOfPrograms } from '../programs-environment.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const REACH_TIMEOUT_MS = 10_000;

export async function hasProgram(program: string): Promise<boolean> {
  const path = process.env['PATH'] ?? PATH;
  const files = program.includes('/') ? [program] : path.split(':').map((folder) => join(folder, program));
  for (const file of files) if (await canBeRun(file)) return true;
  return false;
}

export async function hasUser(name: string): Promise<boolean> {
  return succeeds('getent', ['passwd', '--', name]);
}

export async function isUnitEnabled(unit: string): Promise<boolean | undefined> {
  if (!(await isFolder('/run/systemd/system'))) return undefined;
  return succeeds('systemctl', ['is-enabled', '--quiet', '--', unit]);
}

/** Nothing is sent to anybody: HEAD of the front page. */
export async function reach(origin: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const { request } = origin.startsWith('https:') ? https : http;
    const asking = request(
      origin,
      { method: 'HEAD', agent: false, signal: AbortSignal.timeout(REACH_TIMEOUT_MS) },
      (response) => {
        response.destroy();
        resolve();
      },
    );
    asking.on('error', reject).end();
  });
}

async function canBeRun(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return promisify(execFile)(program, args, { env: environmentOfPrograms() }).then(
    () => true,
    () => false,
  );
}
