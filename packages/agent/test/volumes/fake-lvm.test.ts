import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import { readRecorded } from './lvm-recorded.ts';
import { thickStory, thinStory, type LvmAtHand } from './lvm-story.ts';
import { withFakeLvm, type FakeLvm } from './with-fake-lvm.ts';

t.setTimeout(600_000);

const recorded = readRecorded();

await t.test('what plays a thick volume answers as the real LVM did', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', sizeBytes: 48 * 2 ** 20 });
  t.strictSame(await thickStory(atHand(lvm, t.testdir())), recorded.thick);
});

await t.test('and so does what plays a thin one', async (t) => {
  await using lvm = await withFakeLvm({ type: 'ext4', isThin: true, sizeBytes: 48 * 2 ** 20 });
  t.strictSame(await thinStory(atHand(lvm, t.testdir())), recorded.thin);
});

function atHand(lvm: FakeLvm, folder: string): LvmAtHand {
  const deviceOf = (name: string): string =>
    lvm.group().volumes.find((volume) => volume.name === name)?.device ?? '';
  let freeBytes = 0;
  const number = fs.statSync(deviceOf('data')).rdev;
  return {
    command: lvm.command,
    device: { major: number >> 8, minor: number & 0xff },
    mountSnapshot: async (name) => void execFileSync('mount', ['-o', 'ro', deviceOf(name), folder]),
    unmountSnapshot: async () => void execFileSync('umount', [folder]),
    makeHalf: async (name) => {
      await lvm.command([
        'lvcreate',
        '--name',
        name,
        '--addtag',
        'bakker',
        '--size',
        `${16 * 2 ** 20}b`,
        'vg0/data',
      ]);
      lvm.change(({ volumes }) => ({
        volumes: volumes.map((volume) =>
          volume.name === name
            ? { ...volume, origin: '', attributes: '-wi-a-----', dataPercent: '' }
            : volume,
        ),
      }));
    },
    setFull: async (isFull) => {
      if (isFull) freeBytes = lvm.group().freeBytes;
      lvm.change(() => ({ freeBytes: isFull ? 0 : freeBytes }));
    },
    overflow: async (overflowed) =>
      lvm.change(({ volumes }) => ({
        volumes: volumes.map((volume) =>
          volume.name === overflowed
            ? { ...volume, attributes: 'swi-I-s---', dataPercent: '100.00' }
            : volume,
        ),
      })),
  };
}
