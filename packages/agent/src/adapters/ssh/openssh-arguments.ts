import { fileURLToPath } from 'node:url';
import type { SshSettings } from '../../config/config.ts';
import type { SshAddress } from './connect.ts';

/** Arguments for the system's ssh: the first value of an option wins, so what must not be changed comes first. */
export function opensshArguments(
  address: SshAddress,
  settings: SshSettings,
  { compress }: { compress: boolean },
): string[] {
  const must = [
    'BatchMode=yes',
    'ControlMaster=no',
    // a connection that is there already was made with another key, and looked at no host key of ours
    'ControlPath=none',
    'StrictHostKeyChecking=yes',
    'NoHostAuthenticationForLocalhost=no',
    'RequestTTY=no',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
  ];
  const may = [
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
    'ConnectTimeout=20',
    // ssh would pick chacha20-poly1305, which runs at half the speed.
    'Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com',
  ];
  return [
    ...asOptions([...must, ...(settings.hostKey === undefined ? [] : pinOptions(settings.hostKey))]),
    ...settings.sshOptions,
    ...asOptions(may),
    ...(compress ? ['-C'] : []),
    ...(settings.identityFile === undefined ? [] : ['-i', settings.identityFile, '-o', 'IdentitiesOnly=yes']),
    // 22 is what an address without a port means: then ~/.ssh/config may say another one.
    ...(address.port === 22 ? [] : ['-p', String(address.port)]),
    '-l',
    address.user,
    '-s',
    '--',
    address.host,
    'sftp',
  ];
}

/**
 * Makes ssh trust the pinned key and no other. known_hosts needs whole keys and the pin is a fingerprint, so ssh asks
 * our program, which answers with the key that is shown if, and only if, that has the fingerprint.
 */
function pinOptions(pin: string): string[] {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`./print-pinned-key.${extension}`, import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--openssl-config=/dev/null'];
  const command = [...node, program, pin].map(quoted);
  return [
    `KnownHostsCommand=${command.join(' ')} %f %H %t %K`,
    'UserKnownHostsFile=none',
    'GlobalKnownHostsFile=none',
    'VerifyHostKeyDNS=no',
    'UpdateHostKeys=no',
  ];
}

/** For ssh's own splitting of the command; it starts no shell. */
function quoted(argument: string): string {
  return `"${argument.replaceAll('%', '%%').replace(/["\\]/g, '\\$&')}"`;
}

function asOptions(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['-o', setting]);
}
