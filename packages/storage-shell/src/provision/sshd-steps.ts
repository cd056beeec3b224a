import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import { fileStep } from './file-steps.ts';
import { keysFolder } from './places.ts';
import type { Places } from './places.ts';
import { keptOutBy } from './sshd-patterns.ts';
import type { Step } from './steps.ts';
import { hasSystemd } from './units.ts';

/** What sshd is told about accounts, once for all of them. */
export function renderDropIn(places: Places): string {
  return `# Written by bakker-storage: how accounts of the group ${places.group} log in. docs/provision.md
Match Group ${places.group}
  # Root's, out of the accounts' reach; each key in it has its forced command.
  AuthorizedKeysFile ${keysFolder(places)}/%u
  AuthorizedKeysCommand none
  AuthorizedPrincipalsFile none
  TrustedUserCAKeys none
  AuthenticationMethods publickey
  PubkeyAuthentication yes
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  HostbasedAuthentication no
  DisableForwarding yes
  PermitTunnel no
  PermitTTY no
  PermitUserRC no
  Banner none
  # A server that vanished lets go of its account after three minutes.
  ClientAliveInterval 60
  ClientAliveCountMax 3
Match all
`;
}

/** Writes the drop-in, lets sshd check it, and has it read; a drop-in that sshd refuses is gone before sshd sees it. */
export async function sshdSteps(system: System, places: Places): Promise<Step[]> {
  const { sshdDropIn, sshdProgram, sshdConfig } = places;
  const test = [sshdProgram, '-t', '-f', sshdConfig];
  // Survives being killed between writing and reloading.
  const pending = `${places.etc}/sshd-reload-pending`;
  const dropIn = fileStep(system, {
    title: `tell sshd about accounts in ${sshdDropIn}`,
    path: sshdDropIn,
    text: () => renderDropIn(places),
    options: () => ({ mode: 0o644 }),
    lines: renderDropIn(places).trimEnd().split('\n'),
  });
  const reloading = await reloadCommand(system);
  const isPending = async (): Promise<boolean> => (await system.readText(pending)) !== undefined;
  return [
    {
      ...dropIn,
      lines: [...dropIn.lines, test.join(' ')],
      isDone: async () => !(await isPending()) && (await dropIn.isDone()),
      do: async () => {
        await system.run(test);
        await system.writeText(pending, '', { mode: 0o600 });
        await dropIn.do();
        await system.run(test);
      },
      undo: async () => {
        await dropIn.undo?.();
        await system.removeFile(pending);
      },
    },
    {
      title: 'let sshd read it',
      lines: [reloading === undefined ? `kill -HUP "$(cat ${places.sshdPidFile})"` : reloading.join(' ')],
      isDone: async () => !(await isPending()) && (await dropIn.isDone()),
      do: async () => {
        await reload(system, { places, argv: reloading });
        await system.removeFile(pending);
      },
    },
  ];
}

/** Asks sshd itself what holds for the account: an earlier Match block, or a main file without Include, is found so. */
export function sshdCheckStep(system: System, places: Places, name: string): Step {
  const argv = [
    places.sshdProgram,
    '-T',
    '-f',
    places.sshdConfig,
    '-C',
    `user=${name},host=localhost,addr=127.0.0.1`,
  ];
  const look = async (): Promise<string | undefined> => {
    const { status, stdout, stderr } = await system.try(argv);
    if (status !== 0)
      return `sshd -T: ${stderr
        .trim()
        .split(/[\r\n]+/)
        .slice(-2)
        .join('; ')}`;
    return problemOf(stdout, { places, name });
  };
  return {
    title: `see that sshd lets ${name} in by its keys alone`,
    lines: [argv.join(' ')],
    isDone: async () => (await look()) === undefined,
    do: async () => {
      const problem = await look();
      if (problem === undefined) return;
      throw new StorageError('FAILED', `sshd would not let ${name} in as it should: ${problem}`, {
        hint: `${places.sshdConfig} needs "Include ${places.sshdDropIn.replace(/[^/]*$/, '*.conf')}" as its first line, and no rule that says otherwise`,
      });
    },
  };
}

function problemOf(
  effective: string,
  { places, name }: { places: Places; name: string },
): string | undefined {
  const values = new Map<string, string[]>();
  for (const line of effective.split('\n')) {
    const [key = '', ...rest] = line.trim().split(/\s+/);
    values.set(key, [...(values.get(key) ?? []), ...rest]);
  }
  const wanted = {
    authorizedkeysfile: `${keysFolder(places)}/%u`,
    pubkeyauthentication: 'yes',
    passwordauthentication: 'no',
    disableforwarding: 'yes',
    permittty: 'no',
    permituserrc: 'no',
    forcecommand: 'none',
  };
  for (const [key, value] of Object.entries(wanted)) {
    const found = (values.get(key) ?? ['none']).join(' ');
    if (found !== value) return `${key} is ${found}, not ${value}`;
  }
  return keptOutBy(
    { user: name, groups: [places.group, name] },
    {
      allowUsers: values.get('allowusers'),
      denyUsers: values.get('denyusers'),
      allowGroups: values.get('allowgroups'),
      denyGroups: values.get('denygroups'),
    },
  );
}

/** Undefined where systemd does not run sshd. */
async function reloadCommand(system: System): Promise<readonly string[] | undefined> {
  if (!(await hasSystemd(system))) return undefined;
  for (const unit of ['ssh.service', 'sshd.service']) {
    const { status } = await system.try(['systemctl', 'is-active', '--quiet', unit]);
    if (status === 0) return ['systemctl', 'reload', unit];
  }
  return undefined;
}

/** @throws StorageError FAILED if sshd runs and can't be told */
async function reload(
  system: System,
  about: { places: Places; argv: readonly string[] | undefined },
): Promise<void> {
  const { sshdPidFile, sshdProgram } = about.places;
  if (about.argv !== undefined) await system.run(about.argv);
  // Without a daemon there is nothing to tell: one that is started for each connection, or later, reads the file.
  else await system.hangUp(sshdPidFile, sshdProgram.replace(/^.*\//, ''));
}
