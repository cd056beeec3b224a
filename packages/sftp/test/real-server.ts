import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { joinStreams } from '../src/join-streams.ts';
import { openSftp } from '../src/open-sftp.ts';
import type { SftpClient } from '../src/client.ts';

export interface RealServer {
  readonly client: SftpClient;
  readonly child: ChildProcessWithoutNullStreams;
  readonly folder: string;
  /** A path in the test's folder. */
  readonly at: (name: string | Buffer) => Buffer;
}

interface Teardown {
  teardown(callback: () => void): unknown;
}

/** OpenSSH's own server over its standard streams, and an empty folder, both gone after the test. */
export async function realServer(t: Teardown, wrap = (duplex: Duplex) => duplex): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-sftp-'));
  const child = spawn('/usr/lib/openssh/sftp-server');
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const client = await openSftp(wrap(joinStreams(child.stdout, child.stdin)));
  return {
    client,
    child,
    folder,
    at: (name) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]),
  };
}
