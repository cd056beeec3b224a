import { execFile } from 'node:child_process';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { AgentError } from '../../errors.ts';
import type { ServiceManager } from '../../ports/service-manager.ts';
import { writeWhole } from '../notify/whole-file.ts';
import { environmentOfPrograms } from '../programs-environment.ts';

const USUAL_LAUNCHER = '/usr/local/bin/bakker';
const OWN_LAUNCHER = fileURLToPath(new URL('../../../bin/bakker', import.meta.url));
const TEMPLATES = fileURLToPath(new URL('../../../../../systemd', import.meta.url));

/** systemd of this machine, or with `root` the units of a system below that folder that is not running. */
export async function systemd({ root }: { root?: string } = {}): Promise<ServiceManager> {
  const unitFolder = join(root ?? '/', 'etc/systemd/system');
  const systemctl = root === undefined ? [] : [`--root=${root}`];
  return {
    launcher: (await isSame(USUAL_LAUNCHER, OWN_LAUNCHER)) ? USUAL_LAUNCHER : OWN_LAUNCHER,
    unitFolder,
    isThere: async () => root !== undefined || (await exists('/run/systemd/system')),
    template: (name) => readFile(join(TEMPLATES, name), 'utf8'),
    readUnit: (name) =>
      readFile(join(unitFolder, name), 'utf8').catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw unusable(`${unitFolder}/${name} can't be read`, error);
      }),
    writeUnit: async ({ name, text }) => {
      try {
        await writeWhole(join(unitFolder, name), text, 0o644);
      } catch (error) {
        throw unusable(`${unitFolder}/${name} can't be written`, error);
      }
    },
    isEnabled: async (unit) =>
      call([...systemctl, 'is-enabled', '--quiet', '--', unit]).then(
        () => true,
        () => false,
      ),
    enable: async (units) => {
      const start = (unit: string): string[] =>
        root === undefined && unit.endsWith('.timer') ? ['--now'] : [];
      try {
        if (root === undefined) await call(['daemon-reload']);
        for (const unit of units) await call([...systemctl, 'enable', '--quiet', ...start(unit), '--', unit]);
      } catch (error) {
        throw unusable('systemctl could not enable the timer', error);
      }
    },
  };
}

async function call(args: readonly string[]): Promise<void> {
  await promisify(execFile)('systemctl', args, { env: environmentOfPrograms(), timeout: 60_000 });
}

async function isSame(one: string, other: string): Promise<boolean> {
  try {
    return (await realpath(one)) === (await realpath(other));
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function unusable(what: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? (cause.message.trim().split('\n').at(-1) ?? '') : String(cause);
  return new AgentError('STATE_UNUSABLE', `${what}: ${why}`, { hint: 'run it as root', cause });
}
