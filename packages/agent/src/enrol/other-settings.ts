import { formatAccountAddress } from '../config/account-address.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { withoutEnd } from './choose-sources.ts';
import type { EnrolRequest } from './enrol.ts';

/**
 * A configuration that is there belongs to the administrator: `init` neither replaces nor edits it.
 *
 * @throws AgentError CONFIG_INVALID if the request asks for anything else than it says
 */
export function refuseOtherSettings(existing: Config, request: EnrolRequest): void {
  const here = formatAccountAddress(existing.account);
  const asked = formatAccountAddress(request.account);
  if (here !== asked) {
    throw new AgentError('CONFIG_INVALID', `${existing.file} already names another account: ${here}`, {
      hint: `to move to ${asked}, set it as \`account:\` there or rename the file; for a second account add --config FILE and --state DIR`,
    });
  }
  const differences = [
    differs('identity', request.identityFile, existing.ssh.identityFile),
    differs('host-key', request.hostKey, existing.ssh.hostKey),
    differs('transport', request.transport, existing.ssh.transport),
    otherSealing(existing, request),
    ...request.sources
      .filter((source) => !existing.sources.some(({ path }) => withoutEnd(path) === withoutEnd(source)))
      .map((source) => `sources lacks ${source}`),
  ].filter((difference) => difference !== undefined);
  if (differences.length === 0) return;
  throw new AgentError('CONFIG_INVALID', `${existing.file} says otherwise: ${differences.join('; ')}`, {
    hint: 'edit the file, which init leaves as it is; then run init again to try it',
  });
}

function otherSealing({ encrypt }: Config, { encryption }: EnrolRequest): string | undefined {
  if (encryption === undefined) return undefined;
  if (encrypt === undefined) return 'encrypt is not set';
  if (encrypt.hidesNames === encryption.hidesNames) return undefined;
  return `encrypt says that names are ${encrypt.hidesNames ? '' : 'not '}hidden`;
}

function differs(key: string, asked: string | undefined, here: string | undefined): string | undefined {
  if (asked === undefined || asked === here) return undefined;
  return `${key} is ${here ?? 'not set'}, not ${asked}`;
}
