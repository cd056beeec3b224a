import type { Config, SshSettings } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { Machine } from '../ports/machine.ts';
import { failed, ok, warn, type Finding } from './finding.ts';

/** What `channels: auto` opens on a long line. */
const AUTO_CHANNELS = 4;

/** Whoever reads the key can reach the account. */
export async function checkIdentity(ssh: SshSettings, machine: Machine): Promise<Finding> {
  const file = ssh.identityFile;
  if (file === undefined) {
    if (ssh.transport === 'openssh') return ok('key', "ssh's own configuration chooses it");
    return failed(
      'key',
      new AgentError('CONFIG_INVALID', 'no key is configured', {
        hint: 'set `identity:`, or run bakker init',
      }),
    );
  }
  const facts = await machine.inspect(file);
  if (facts === undefined) {
    return failed(
      'key',
      new AgentError('AUTHENTICATION_FAILED', `${file} is not there`, {
        hint: 'bring it back, or correct `identity:`',
      }),
    );
  }
  if ((facts.mode & 0o077) !== 0) {
    return warn('key', `${file} can be read by other users`, `chmod 600 ${file}`);
  }
  if (facts.uid !== machine.uid) {
    return warn('key', `${file} belongs to another user (${facts.uid})`, `chown ${machine.uid} ${file}`);
  }
  return ok('key', `${file} is private`);
}

export function checkHostKey(ssh: SshSettings): Finding {
  if (ssh.hostKey !== undefined) return ok('host key', `pinned to ${ssh.hostKey}`);
  if (ssh.transport === 'openssh') {
    return warn(
      'host key',
      'not pinned: the known_hosts files decide',
      'set `host-key: SHA256:…` to trust that key only',
    );
  }
  return failed(
    'host key',
    new AgentError('CONFIG_INVALID', 'not pinned', { hint: 'set `host-key: SHA256:…`' }),
  );
}

export function checkNativeCrypto(machine: Machine): Finding {
  if (machine.hasNativeCrypto()) return ok('SSH speed', 'the crypto binding of ssh2 is built');
  return warn(
    'SSH speed',
    'the crypto binding of ssh2 is not built: encryption takes about twice the CPU time',
    'install a C++ compiler, make and Python, then run `npm rebuild ssh2` with the carried Node.js; see docs/connection.md',
  );
}

/** sshd's MaxSessions limits the channels of one connection. */
export async function checkChannels(config: Config, machine: Machine): Promise<Finding> {
  const wanted = config.ssh.channels === 'auto' ? AUTO_CHANNELS : config.ssh.channels;
  const opened = await machine.countChannels(config, wanted);
  if (opened >= wanted) return ok('channels', `${opened} on one connection`);
  return warn(
    'channels',
    `the storage takes ${opened} of ${wanted} on one connection`,
    'raise MaxSessions in its sshd_config (10 by default), or lower `channels:`',
  );
}
