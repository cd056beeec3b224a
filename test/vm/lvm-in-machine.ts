import type { RunCommand } from '../../packages/agent/src/adapters/volumes/commands.ts';
import type { LvmAnswers } from '../../packages/agent/test/volumes/lvm-recorded.ts';
import { thickStory, thinStory, type LvmAtHand } from '../../packages/agent/test/volumes/lvm-story.ts';
import type { Machine } from './machine.ts';
import { quoted } from './remote-shell.ts';

/** What LVM of the machine answers bakker, of a thick and of a thin volume. @param disk - an empty one, of 200 MB */
export async function lvmAnswers(machine: Machine, disk: string): Promise<LvmAnswers> {
  await machine.must('mkdir -p /lvm/data /lvm/snapshot');
  const thick = await told(machine, thickStory, { disk, make: 'lvcreate -q -y -n data -L 48M vg0' });
  const thin = await told(machine, thinStory, {
    disk,
    make: 'lvcreate -q -y -T -L 100M vg0/pool && lvcreate -q -y -V 48M -n data vg0/pool',
  });
  return { thick, thin };
}

async function told(
  machine: Machine,
  story: (lvm: LvmAtHand) => Promise<string[]>,
  { disk, make }: { disk: string; make: string },
): Promise<string[]> {
  await machine.must(`vgcreate -q vg0 ${disk} && ${make}`);
  await machine.must('mkfs.ext4 -q /dev/vg0/data && mount /dev/vg0/data /lvm/data');
  const [major = NaN, minor = NaN] = (
    await machine.must('lvs --noheadings -o lv_kernel_major,lv_kernel_minor vg0/data')
  )
    .trim()
    .split(/ +/)
    .map(Number);
  const answers = await story({
    command: commandsOf(machine),
    device: { major, minor },
    mountSnapshot: async (name) => void (await machine.must(`mount -o ro /dev/vg0/${name} /lvm/snapshot`)),
    unmountSnapshot: async () => void (await machine.must('umount /lvm/snapshot')),
    makeHalf: async (name) =>
      void (await machine.must(`lvcreate -q -y -n ${name} --addtag bakker -L 16M vg0`)),
    setFull: async (isFull) =>
      void (await machine.must(
        isFull ? 'lvcreate -q -y -Wn -n filler -l 100%FREE vg0' : 'lvremove -q -y vg0/filler',
      )),
    overflow: async () =>
      void (await machine.must('dd if=/dev/urandom of=/lvm/data/much bs=1M count=30 conv=fsync status=none')),
  });
  await machine.must('umount /lvm/data && vgremove -q -y vg0');
  return answers;
}

function commandsOf(machine: Machine): RunCommand {
  return async (argv) => {
    const line = argv.map(quoted).join(' ');
    const { status, stdout, stderr } = await machine.run(`LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 ${line}`);
    return { status, stdout: Buffer.from(stdout), stderr };
  };
}
