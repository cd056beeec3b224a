import { getXattr, setXattr } from '@bakker/linux';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { Shell, publishRun, temporaryRoot } from './shell-client.ts';

const DIGEST = 'user.bakker.sha256';
const LARGE = Buffer.alloc(3_000_000, 'large');

/** A session that was cut off, with some files stored; and its token. */
async function cutOff(root: string): Promise<{ token: string; folder: string }> {
  await using shell = await Shell.open({ root });
  const { run, token } = await shell.begin();
  for (const name of ['good', 'short', 'stale', 'bare']) await shell.put(name, `content of ${name}`);
  const handle = await shell.create('large');
  for (let at = 0; at < LARGE.length; at += 200_000)
    await shell.client.write(
      { bytes: handle, path: Buffer.from('large') },
      at,
      LARGE.subarray(at, at + 200_000),
    );
  await shell.finish(handle, LARGE.length);
  return { token, folder: `${root}/server1/${run}.incomplete` };
}

t.test(
  'content of before the machine was started anew is linked only if its hash says that it is whole',
  async (t) => {
    using root = temporaryRoot('reboot');
    const cut = await cutOff(root.path);
    // What a loss of power leaves of files that were not flushed: names and attributes, and not all of the data.
    truncateSync(`${cut.folder}/short`, 4);
    writeFileSync(`${cut.folder}/stale`, '\0'.repeat(16));
    writeFileSync(`${cut.folder}/other`, 'content without a hash', { mode: 0o400 });
    // The token as another boot would have issued it.
    const token = [...cut.token].reverse().join('');
    const [note] = readdirSync(`${root.account}/.bakker`).filter((name) => name.endsWith(cut.token));
    renameSync(
      `${root.account}/.bakker/${note}`,
      `${root.account}/.bakker/${note?.replace(cut.token, token)}`,
    );

    await using shell = await Shell.open({ root: root.path });
    const begun = await shell.begin();
    t.same(begun.carried, [token]);
    const names = ['good', 'short', 'stale', 'other', 'large', 'bare', 'none'];
    t.same(
      await shell.tree((script) => {
        for (const name of names) script.link(Buffer.from(name), token, Buffer.from(name));
      }),
      [1, 2, 3, 6].map((operation) => ({ operation, reason: 'absent' })),
    );
    t.same(readdirSync(`${root.account}/${begun.run}.incomplete`).sort(), ['bare', 'good', 'large']);
    await shell.put('short', 'content of short');
    await shell.publish({ files: 4, bytes: 15 + 15 + 16 + LARGE.length });
    t.ok(readFileSync(`${root.account}/${begun.run}/large`).equals(LARGE));
  },
);

t.test(
  'content of this boot is linked by its name alone, and never a file that was still being written',
  async (t) => {
    using root = temporaryRoot('same-boot');
    const cut = await cutOff(root.path);
    // Its hash is not looked at: that would cost as much as sending it.
    setXattr(Buffer.from(`${cut.folder}/good`), { name: DIGEST, value: Buffer.alloc(32) });
    // A copy that a kill cut short has all but its permissions.
    writeFileSync(`${cut.folder}/half`, 'ha', { mode: 0o600 });
    setXattr(Buffer.from(`${cut.folder}/half`), { name: DIGEST, value: Buffer.alloc(32) });
    await using shell = await Shell.open({ root: root.path });
    const begun = await shell.begin();
    t.equal(begun.token.slice(0, 16), cut.token.slice(0, 16), 'tokens of one boot begin the same');
    t.same(
      await shell.tree((script) => {
        for (const name of ['good', 'half', 'large'])
          script.link(Buffer.from(name), cut.token, Buffer.from(name));
      }),
      [{ operation: 1, reason: 'absent' }],
    );
    t.notOk(
      getXattr(Buffer.from(`${root.account}/${begun.run}.incomplete/good`), DIGEST)?.some(
        (byte) => byte !== 0,
      ),
    );
  },
);

t.test(
  'the name of a run that lies in the trash is not given again, so that it can be brought back',
  async (t) => {
    using root = temporaryRoot('trash-names');
    mkdirSync(`${root.account}/.bakker`);
    const first = await publishRun(root.path, { file: 'one' });
    const second = await publishRun(root.path, { file: 'two' }, first);
    using keeper = openKeeper(root.path, 'server1');
    t.equal(await keeper.remove(second, Date.now()), 'removed');
    const third = await publishRun(root.path, { file: 'three' }, first);
    t.not(third, second);
    await keeper.bringBack(second);
    t.equal(readFileSync(`${root.account}/${second}/file`, 'utf8'), 'two');
    t.ok(existsSync(`${root.account}/${second}.impl`));
    t.equal(readFileSync(`${root.account}/latest/file`, 'utf8'), 'three', 'later than all that were');
    t.equal(lstatSync(`${root.account}/${third}/file`).nlink, 1);
  },
);

t.test(
  'a run that was moved to another disk, and is a symlink here, keeps its manifest and its name',
  async (t) => {
    using root = temporaryRoot('moved-away');
    const first = await publishRun(root.path, { file: 'one' });
    const moved = await publishRun(root.path, { file: 'two' }, first);
    renameSync(`${root.account}/${moved}`, `${root.path}/elsewhere`);
    symlinkSync(`${root.path}/elsewhere`, `${root.account}/${moved}`);
    const next = await publishRun(root.path, { file: 'three' }, first);
    t.ok(next > moved, `${next} is later than ${moved}`);
    t.ok(existsSync(`${root.account}/${moved}.impl`));
    t.ok(existsSync(`${root.account}/.bakker/receipts/${moved}.json`));
    t.equal(readFileSync(`${root.account}/${moved}/file`, 'utf8'), 'two');
  },
);
