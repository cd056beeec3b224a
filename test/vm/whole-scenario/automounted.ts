import type { Test } from 'tap';
import type { BusyServer } from './busy-server.ts';

const FOLDER = '/srv/far';
const MOUNTED = `${FOLDER}/on_demand`;
const UNIT = 'srv-far-on_demand';

/** What systemd mounts as soon as somebody asks for it is mounted for a source, and for nothing else. */
export async function automounted(t: Test, { machine }: BusyServer): Promise<void> {
  await machine.must('install -d /root/far/disk && echo one >/root/far/disk/inside');
  for (const [kind, lines] of Object.entries({
    mount: ['[Mount]', 'What=/root/far/disk', `Where=${MOUNTED}`, 'Options=bind'],
    automount: ['[Automount]', `Where=${MOUNTED}`],
  }))
    await machine.writeFile(`/etc/systemd/system/${UNIT}.${kind}`, `${lines.join('\n')}\n`);
  await machine.must(`systemctl daemon-reload && systemctl start ${UNIT}.automount`);
  const state = async (kind: string): Promise<string> =>
    (await machine.must(`systemctl show -p ActiveState --value ${UNIT}.${kind}`)).trim();
  const backUp = async (source: string): Promise<string> => {
    await machine.writeFile(
      '/root/far/bakker.yaml',
      `account: /root/far/account\nsources: [{ path: ${source}, one-file-system: false }]\ninterval: 0\n`,
    );
    await machine.must('install -d /root/far/account');
    await machine.must('bakker backup --config /root/far/bakker.yaml --state /root/far/state --allow-empty');
    return (await machine.must('cd /root/far/account/latest && find srv -mindepth 2 | sort')).trim();
  };

  t.match(await machine.must('findmnt -n -t autofs -o TARGET'), MOUNTED);
  t.equal(await backUp(FOLDER), 'srv/far/on_demand');
  t.equal(await state('automount'), 'active');
  t.equal(await state('mount'), 'inactive', 'nobody asked for it');
  t.equal(await backUp(MOUNTED), 'srv/far/on_demand\nsrv/far/on_demand/inside');
  t.equal(await state('mount'), 'active');
  await machine.must(`systemctl stop ${UNIT}.automount ${UNIT}.mount`);
}
