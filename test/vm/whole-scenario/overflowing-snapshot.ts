import type { Test } from 'tap';
import type { BusyServer } from './busy-server.ts';

/** A snapshot that overflows in mid-run is not published. */
export async function overflowingSnapshot(t: Test, server: BusyServer): Promise<void> {
  const { machine, say } = server;
  const before = await server.latest();
  const filling = 'dd if=/dev/urandom of=/srv/mysql/filling bs=1M count=60 conv=notrunc,fsync status=none';
  await machine.must(filling);
  await machine.must('sed -i "s/lvm-size: 50%/lvm-size: 16M/" /etc/bakker/bakker.yaml');
  const { pid, seen } = await server.stopAt('push');
  say(`the run is at push (${seen}); 60 MB of the volume are overwritten, its snapshot has 16 MB`);
  await machine.must(filling);
  await server.thaw();
  await machine.must(`while [ -e /proc/${pid} ]; do sleep 0.2; done`);
  t.equal(await server.left(), '');
  const said = await machine.must('journalctl -q -o cat -n 30 -u bakker.service');
  t.equal((await machine.must('systemctl show -p ExecMainStatus --value bakker.service')).trim(), '14', said);
  t.match(said, /overflowed: it had 16 MiB, and .* would have been enough/);
  t.equal(await server.latest(), before);
  t.equal((await machine.must(`ls /backups/alder | grep -c '_0[2-9]$' || true`)).trim(), '0');
  say(
    `exit 14, latest is still ${before}: ${said.split('\n').find((line) => line.includes('overflowed')) ?? ''}`,
  );
  await machine.must(
    'rm /srv/mysql/filling; sed -i "s/lvm-size: 16M/lvm-size: 50%/" /etc/bakker/bakker.yaml',
  );
}
