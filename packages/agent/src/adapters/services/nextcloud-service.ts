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
  const { stdout } = await run({ argv: occ, user, cwd: folder, signal });
  const isOn = /currently enabled/i.test(stdout);
  if (!isOn && !/currently disabled/i.test(stdout)) {
    throw new AgentError(
      'QUIESCE_FAILED',
      `occ did not say whether maintenance mode is on: ${stdout.trim()}`,
    );
  }
  const enter = [...occ, isOn ? '' : '--on'].filter(Boolean);
  return prepareCommand({
    kind: 'command',
    name,
    enter,
    leave: isOn ? undefined : [...occ, '--off'],
    user,
    cwd: folder,
    timeoutMs,
    what: `end the maintenance mode of ${folder}`,
  });
}
