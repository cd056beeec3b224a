import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { OPEN, PACKET } from '../../src/protocol.ts';
import { packet, string, u32 } from '../hand-made-server.ts';
import { INIT } from './served.ts';

const SERVER = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'file-server.ts')];

/** The server as a process, a file of 1 MiB opened by its first handle, and nobody who reads its output. */
async function startedServer(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-sftp-'));
  const child = spawn(process.execPath, SERVER, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  child.stdin.on('error', () => undefined);
  writeFileSync(`${folder}/big`, Buffer.alloc(1024 * 1024));
  child.stdin.write(INIT);
  const [version] = (await once(child.stdout, 'data')) as [Buffer];
  t.equal(version[4], PACKET.VERSION);
  child.stdout.pause();
  child.stdin.write(packet(PACKET.OPEN, u32(1), string('big'), u32(OPEN.READ), u32(0)));
  return child;
}

t.test('a process whose output nobody reads holds little memory, and ends with its client', async (t) => {
  const child = await startedServer(t);
  const read = packet(PACKET.READ, u32(2), string(u32(1)), Buffer.alloc(8), u32(255 * 1024));
  const reads = Buffer.concat(Array.from({ length: 2000 }, () => read));
  // A hundred times what pipes and bounds hold; the server takes it only if it forgets to wait.
  for (let round = 0; round < 100; round++) child.stdin.write(reads);
  let left = -1;
  for (let same = 0; same < 5;) {
    await sleep(100);
    same = child.stdin.writableLength === left ? same + 1 : 0;
    left = child.stdin.writableLength;
  }
  t.ok(left > 4_000_000, `${left} bytes of requests were not taken`);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const mostKib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
  t.ok(mostKib > 0 && mostKib < 250_000, `${mostKib} KiB at most`);
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const closed = once(child, 'close');
  child.stdout.destroy();
  await closed;
  t.equal(child.exitCode, 1);
  t.match(complaint, /SftpSessionError: the output of the SFTP session broke: write EPIPE/);
});
