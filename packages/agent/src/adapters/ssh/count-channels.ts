import type { Duplex } from 'node:stream';
import type { Config } from '../../config/config.ts';
import { AgentError } from '../../errors.ts';
import { connectSsh } from './connect.ts';

/** How many SFTP channels the storage gives one connection, up to `wanted`. @throws as `connectSsh` does */
export async function countChannels(
  config: Config,
  { wanted, signal }: { wanted: number; signal: AbortSignal },
): Promise<number> {
  if (config.account.kind !== 'ssh') return wanted;
  await using connection = await connectSsh(config.account, config.ssh, { signal, compress: false });
  const opened: Duplex[] = [];
  try {
    while (opened.length < wanted) opened.push(await connection.openSftpChannel());
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'STORAGE_REFUSED') throw error;
  }
  return opened.length;
}
