import t from 'tap';
import { startMachine } from './machine.ts';

t.setTimeout(7_200_000);

/** Writes what happened down, one line each. */
const CONFIG = `account: /mnt/account
sources: [/srv/data]
interval: 0
notify:
  hooks: [{ run: { shell: 'echo "$BAKKER_EVENT $BAKKER_UNIT" >> /root/told' } }]
`;

await t.test('systemd starts runs, tells of those that die, and undoes at boot what they left', async (t) => {
  await using machine = await startMachine({ disks: ['1G'] });
  const [disk = ''] = machine.disks;
  const told = async (): Promise<string[]> =>
    (await machine.must('cat /root/told; : > /root/told')).trim().split('\n');

  await machine.must(`vgcreate -q vg ${disk} && lvcreate -q -n data -L 300M vg && mkfs.ext4 -q /dev/vg/data`);
  await machine.must(
    'echo "/dev/vg/data /srv/data ext4 defaults 0 0" >> /etc/fstab && mkdir -p /srv/data /mnt/account',
  );
  await machine.must(
    'mount /srv/data && mkdir -p /etc/bakker && echo one > /srv/data/file && touch /root/told',
  );
  await machine.writeFile('/etc/bakker/bakker.yaml', CONFIG, { mode: '600' });
  await machine.writeFile(
    '/etc/systemd/system/web.service',
    '[Unit]\nBefore=multi-user.target\n[Service]\nExecStart=/bin/sleep infinity\n',
  );
  await machine.must('systemctl daemon-reload && systemctl start web.service');
  const made = await machine.must('bakker init /mnt/account --timer --yes');
  t.match(made, /enabled +bakker.timer/);
  t.match(await machine.must('bakker init /mnt/account --timer --yes'), /installed and enabled already/);
  t.equal((await machine.must('systemctl is-active bakker.timer')).trim(), 'active');
  t.match(await machine.must('systemctl list-timers bakker.timer'), /bakker\.service/);

  await machine.must('systemctl start bakker.service || { journalctl -u bakker.service; exit 1; }');
  t.same(await told(), ['success']);
  t.equal((await machine.must('cat /mnt/account/latest/srv/data/file')).trim(), 'one');

  // what the unit may not do leaves snapshots, their mounts and other users possible
  await machine.must(`mkdir -p /etc/systemd/system/bakker.service.d && cat > /etc/systemd/system/bakker.service.d/try.conf <<'END'
[Service]
ExecStart=
ExecStart=/bin/sh -exc 'lvcreate -y -s -n snap -L 20M vg/data; mkdir -p /run/snap; mount -o ro /dev/vg/snap /run/snap; cat /run/snap/file; umount /run/snap; lvremove -y vg/snap; setpriv --reuid=nobody --regid=nogroup --init-groups id; systemctl stop web; systemctl start web; ls /usr/lib/modules/*/kernel >/dev/null'
END
systemctl daemon-reload`);
  const tried = await machine.run('systemctl start bakker.service; journalctl -u bakker.service -n 60');
  t.match(await machine.must('systemctl show -p Result --value bakker.service'), /^success/, tried.stdout);

  // a run that is killed says nothing: systemd does
  await machine.must(
    `sed -i 's/^ExecStart=.sh.*//; s/^ExecStart=.bin.*/ExecStart=\\/bin\\/sh -c "kill -9 $$$$"/' /etc/systemd/system/bakker.service.d/try.conf`,
  );
  await machine.must('systemctl daemon-reload; systemctl start bakker.service; true');
  await machine.must('for i in $(seq 900); do [ -s /root/told ] && break; sleep 1; done');
  t.same(await told(), ['failure']);
  t.match(
    await machine.must('journalctl -u bakker.service'),
    /Nothing to undo/,
    'it looked for what is to be undone',
  );

  // a run that fails says so itself, once
  await machine.must(
    'rm -r /etc/systemd/system/bakker.service.d && systemctl daemon-reload && umount /srv/data',
  );
  t.not((await machine.run('systemctl start bakker.service')).status, 0);
  await machine.must(
    'while [ "$(systemctl is-active bakker-notify@bakker.service.service)" = activating ]; do sleep 1; done',
  );
  t.same(await told(), ['failure']);

  // a service that a dead run had stopped is started at boot
  const step = JSON.stringify({ kind: 'start-units', what: 'start web.service', units: ['web.service'] });
  await machine.must('sqlite3 /var/lib/bakker/undo.sqlite', {
    input: `INSERT INTO undo (recorded_at_ms, step) VALUES (1, '${step}');`,
  });
  await machine.must('sync');
  await machine.powerOff();
  await machine.powerOn();
  await machine.must('systemctl is-system-running --wait || true');
  t.match(await machine.must('journalctl -b -u bakker-recover.service'), /Undone: start web.service/);
  t.equal((await machine.must('systemctl is-active web.service')).trim(), 'active');
  t.equal((await machine.must('systemctl is-active bakker.timer')).trim(), 'active');
});
