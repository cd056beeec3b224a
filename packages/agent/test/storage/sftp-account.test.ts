import { parseAccountAddress } from '../../src/config/account-address.ts';
import { openAccount } from '../../src/adapters/open-account.ts';
import type { SshSettings } from '../../src/config/config.ts';
import type { Progress } from '../../src/ports/progress.ts';
import { startSshd } from '../../../../test/harness/sshd.ts';
import { checkAccountContract } from './account-contract.ts';

const SILENT: Progress = {
  stage: () => undefined,
  expect: () => undefined,
  advance: () => undefined,
  message: () => undefined,
  warning: () => undefined,
};

const KINDS: readonly (readonly [string, { chroot: boolean; settings: Partial<SshSettings> }])[] = [
  ['an account over ssh2', { chroot: false, settings: {} }],
  ['a chrooted account', { chroot: true, settings: {} }],
  ['an account over four channels', { chroot: false, settings: { channels: 4 } }],
  ["an account over the system's ssh", { chroot: false, settings: { transport: 'openssh' } }],
];

for (const [name, { chroot, settings }] of KINDS) {
  checkAccountContract(name, async () => {
    const server = await startSshd();
    const account = await server.addAccount({ chroot });
    const address = parseAccountAddress(account.address);
    const config = {
      account: address,
      ssh: {
        transport: 'ssh2',
        identityFile: account.identityFile,
        hostKey: server.hostKeyFingerprint,
        sshOptions: [],
        channels: 'auto',
        ...settings,
      },
    } as const;
    return {
      folder: account.folder,
      open: () => openAccount(config, { signal: new AbortController().signal, progress: SILENT }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
}
