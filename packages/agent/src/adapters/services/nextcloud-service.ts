import path from 'node:path';
import type { NextcloudSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService, ServiceContext } from '../../ports/services.ts';
import { run } from './child.ts';
import { prepareCommand } from './command-service.ts';

/** Nextcloud's maintenance mode. If it is on already, somebody works there, and it stays on. */
export async function prepareNextcloud(
  { path: folder, user, php }: NextcloudSettings,
  { name, timeoutMs, signal }: ServiceContext & { name: string; timeoutMs: number },
): Promise<PreparedService> {
  const occ = [php, path.join(folder, 'occ'), '--no-ansi', '--no-interaction', 'maintenance:mode'];
  const isOn = async ({ signal }: ServiceContext): Promise<boolean> => {
    const { stdout } = await run({ argv: occ, user, cwd: folder, signal });
    if (/currently enabled/i.test(stdout)) return true;
    if (/currently disabled/i.test(stdout)) return false;
    throw new AgentError(
      'QUIESCE_FAILED',
      `occ did not say whether maintenance mode is on: ${stdout.trim()}`,
    );
  };
  const wasOn = await isOn({ signal });
  const enter = [...occ, wasOn ? '' : '--on'].filter(Boolean);
  const command = prepareCommand({
    kind: 'command',
    name,
    enter,
    leave: wasOn ? undefined : [...occ, '--off'],
    user,
    cwd: folder,
    timeoutMs,
    what: `end the maintenance mode of ${folder}`,
  });
  return {
    ...command,
    stoodStill: async (context) => {
      if (await isOn(context)) return;
      throw new AgentError(
        'QUIESCE_FAILED',
        `the maintenance mode of ${folder} ended before the snapshot was there: somebody ended it`,
        { hint: 'run the backup again when nobody else works on it' },
      );
    },
  };
}
