import { mkdir } from 'node:fs/promises';

/** sshd of root needs this folder for its privilege separation; Debian's package makes it only when its service starts. */
export async function ensurePrivilegeFolder(): Promise<void> {
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
}
