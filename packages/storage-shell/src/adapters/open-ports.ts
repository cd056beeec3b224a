import type { Ports } from '../ports/ports.ts';

/** One line for each port; the import is in the line, so that it is loaded by the call. */
export const openPorts: Ports = {
  system: async () => (await import('./system/linux-system.ts')).linuxSystem(),
  session: async () => (await import('./account/shell-session.ts')).shellSession,
  owners: async () => (await import('./runs/account-owners.ts')).accountOwners,
  keeping: async () => (await import('./runs/keeping.ts')).keeping,
};
