import { parseRunName } from '@bakker/impl-format';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { mountLoopFilesystem } from '../../../test/harness/loop-fs.ts';
import { openStateFolder } from '../src/adapters/state-folder.ts';
import type { InodeKey, KnownContent } from '../src/ports/state-folder.ts';

const RUN = parseRunName('2024_04_18_01');
const NEXT = parseRunName('2024_04_19_01');
if (!RUN || !NEXT) throw new Error('run names');

const ELSEWHERE = Buffer.from('another path');

async function withState(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-state-'));
  try {
    await act(dir);
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}

function content(
  folder: string,
  name: string,
  inode: bigint,
): KnownContent & InodeKey & { readonly ctimeNs: bigint } {
  return {
    folder,
    path: Buffer.concat([Buffer.from(name), Buffer.from([0xff, 0x0a])]),
    sha256: randomBytes(32),
    filesystem: Buffer.from('/srv'),
    inode,
    sizeBytes: 300_000,
    mtimeNs: 1_713_400_000_123_456_789n,
    ctimeNs: 1_713_400_000_200_000_000n,
    bornNs: 1_713_400_000_100_000_000n,
  };
}

t.test(
  'the catalogue finds content by size and hash, and by the inode that it was read from, also after reopening',
  async (t) => {
    await withState(async (dir) => {
      const state = await openStateFolder(dir);
      const largest = content(RUN, 'largest inode', 2n ** 64n - 1n);
      const early = { ...content(RUN, 'before 1970', 5n), mtimeNs: -7n };
      const namesake = { ...content(RUN, 'of that number on another', 5n), filesystem: Buffer.from('/home') };
      {
        using catalogue = await state.catalogue('account');
        t.notOk(catalogue.hasSize(300_000));
        catalogue.add(largest);
        catalogue.add(early);
        catalogue.add(namesake);
        t.match(catalogue.byContent(300_000, largest.sha256), { folder: RUN, path: largest.path });
      }
      using catalogue = await state.catalogue('account');
      for (const known of [largest, early, namesake]) {
        t.same(catalogue.byInode(known, ELSEWHERE), { folder: RUN, path: known.path, sha256: known.sha256 });
        t.equal(catalogue.byInode({ ...known, mtimeNs: 1n }, ELSEWHERE), undefined);
        t.equal(catalogue.byInode({ ...known, sizeBytes: 1 }, ELSEWHERE), undefined);
        for (const other of ['/srv', '/home', '/other'].map((name) => Buffer.from(name)))
          if (!other.equals(known.filesystem))
            t.equal(catalogue.byInode({ ...known, filesystem: other }, ELSEWHERE), undefined);
        t.same(catalogue.lastReadFrom(known), known.sha256);
      }
      t.ok(catalogue.hasSize(300_000));
      t.notOk(catalogue.hasSize(300_001));
      t.equal(catalogue.byContent(1, largest.sha256), undefined);
      catalogue.forget(300_000, largest.sha256);
      t.equal(catalogue.byContent(300_000, largest.sha256), undefined);
    });
  },
);

t.test('an inode whose number was given again is another one, whatever its size and mtime', async (t) => {
  await withState(async (dir) => {
    const known = content(RUN, 'known', 1n);
    const ofNoBirth = { ...content(RUN, 'of a file system that knows no birth', 2n), bornNs: undefined };
    const unsettled = { ...content(RUN, 'could change unseen', 3n), ctimeNs: undefined, bornNs: undefined };
    {
      using catalogue = await (await openStateFolder(dir)).catalogue('account');
      catalogue.add(known);
      catalogue.add(ofNoBirth);
      catalogue.add(unsettled);
    }
    using catalogue = await (await openStateFolder(dir)).catalogue('account');
    const isFound = (key: InodeKey): boolean => catalogue.byInode(key, ELSEWHERE) !== undefined;
    const later = known.ctimeNs + 1n;
    t.ok(isFound({ ...known, ctimeNs: later }), 'renamed: its ctime moved, its birth did not');
    t.equal(catalogue.byInode({ ...known, ctimeNs: later }, known.path), undefined, 'not renamed: written');
    t.ok(catalogue.byInode(known, known.path), 'left out for a while');
    t.notOk(isFound({ ...known, ctimeNs: later, bornNs: later }), 'another file');
    t.notOk(isFound({ ...known, ctimeNs: later, bornNs: undefined }), 'nobody knows');
    t.ok(isFound({ ...known, bornNs: undefined }), 'below a folder that was renamed');
    t.ok(isFound(ofNoBirth));
    t.notOk(isFound({ ...ofNoBirth, ctimeNs: later }));
    t.notOk(isFound(unsettled), 'what is not known of either is not the same');
    t.notOk(isFound({ ...unsettled, ctimeNs: later, bornNs: later }));
    t.same(catalogue.lastReadFrom(unsettled), unsettled.sha256);
  });
});

t.test('an inode holds what was read from it last, as long as that is known', async (t) => {
  await withState(async (dir) => {
    const state = await openStateFolder(dir);
    const first = content(RUN, 'read first', 1n);
    const last = { ...content(NEXT, 'read last', 1n), ctimeNs: first.ctimeNs + 1n };
    const other = content(RUN, 'other', 2n);
    const unsettled = { ...content(NEXT, 'just written', 2n), ctimeNs: undefined, bornNs: undefined };
    {
      using catalogue = await state.catalogue('account');
      for (const one of [first, last, other, unsettled]) catalogue.add(one);
    }
    const renamedNs = last.ctimeNs + 1n;
    using catalogue = await state.catalogue('account');
    const found = (ctimeNs: bigint): Buffer | undefined =>
      catalogue.byInode({ ...first, ctimeNs }, ELSEWHERE)?.sha256;
    t.same(catalogue.lastReadFrom(first), last.sha256);
    t.same(found(renamedNs), last.sha256);
    t.equal(found(first.ctimeNs)?.equals(first.sha256), false, 'whatever the times say');
    t.equal(
      catalogue.byInode({ ...other, ctimeNs: renamedNs }, ELSEWHERE),
      undefined,
      'it could change with its times unchanged',
    );
    catalogue.forget(300_000, last.sha256);
    t.equal(found(renamedNs), undefined, 'what was read last is not known any more');
    catalogue.forgetFolder(NEXT);
    t.equal(catalogue.byInode({ ...other, ctimeNs: renamedNs }, ELSEWHERE), undefined);
    t.same(
      catalogue.byContent(300_000, first.sha256)?.path,
      first.path,
      'content is found by its hash as ever',
    );

    catalogue.add(last);
    t.same(found(renamedNs), last.sha256);
    catalogue.doubtBirths();
    t.equal(found(renamedNs), undefined);
    t.same(found(last.ctimeNs), last.sha256, 'a ctime proves it still');
  });
});

t.test(
  'the catalogue follows a folder that is renamed, forgets one that is gone, and starts anew for another account',
  async (t) => {
    await withState(async (dir) => {
      const state = await openStateFolder(dir);
      const moved = content('token', 'moved', 1n);
      const gone = content('gone', 'gone', 2n);
      {
        using catalogue = await state.catalogue('account');
        catalogue.add(moved);
        catalogue.add(gone);
        catalogue.renameFolder('token', RUN);
        catalogue.forgetFolder('gone');
        catalogue.setCovers(RUN);
        t.same(catalogue.folders(), [RUN]);
        t.equal(catalogue.byContent(300_000, moved.sha256)?.folder, RUN);
        t.equal(catalogue.byContent(300_000, gone.sha256), undefined);
      }
      {
        using catalogue = await state.catalogue('account');
        t.equal(catalogue.covers(), RUN);
        t.same(catalogue.folders(), [RUN]);
      }
      using other = await state.catalogue('another account');
      t.equal(other.byContent(300_000, moved.sha256), undefined);
      t.equal(other.covers(), undefined);
      t.same(other.folders(), []);
    });
  },
);

t.test('what a catalogue says that it covers is in it, though its process is killed next', async (t) => {
  await withState(async (dir) => {
    const known = content(RUN, 'known', 1n);
    const state = await openStateFolder(dir);
    const killed = await state.catalogue('account');
    killed.byContent(1, known.sha256); // indexed, as one that was filled before
    killed.add(known);
    killed.setCovers(RUN);
    fs.cpSync(dir, `${dir}-left`, { recursive: true }); // what a kill would leave
    killed[Symbol.dispose]();
    t.teardown(() => fs.rmSync(`${dir}-left`, { recursive: true }));
    using catalogue = await (await openStateFolder(`${dir}-left`)).catalogue('account');
    t.equal(catalogue.covers(), RUN);
    t.ok(catalogue.byContent(300_000, known.sha256));
  });
});

t.test('a catalogue that could not be put down takes and promises nothing more', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 << 20 });
  const state = await openStateFolder(`${disk.folder}/state`);
  {
    using filled = await state.catalogue('account');
    filled.add(content('token', 'of an earlier run', 1n));
  }
  {
    using catalogue = await state.catalogue('account');
    catalogue.add(content('token', 'known', 2n));
    const filler = fs.openSync(`${disk.folder}/filler`, 'w');
    const fill = (): void => {
      for (;;) fs.writeSync(filler, Buffer.alloc(4096));
    };
    t.throws(fill, { code: 'ENOSPC' });
    fs.closeSync(filler);
    await delay(1000); // by itself it is put down earlier
    fs.rmSync(`${disk.folder}/filler`);
    t.throws(() => catalogue.add(content('token', 'another', 3n)), { code: 'SQLITE_FULL' });
    t.throws(() => catalogue.renameFolder('token', RUN), { code: 'SQLITE_FULL' });
    t.throws(() => catalogue.setCovers(RUN), { code: 'SQLITE_FULL' });
  }
  using catalogue = await state.catalogue('account');
  t.equal(catalogue.covers(), undefined);
  t.same(catalogue.folders(), ['token']);
});

t.test('a damaged catalogue is filled anew instead of failing the run', async (t) => {
  await withState(async (dir) => {
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'catalogue.sqlite'), randomBytes(20_000));
    const state = await openStateFolder(dir);
    using catalogue = await state.catalogue('account');
    t.same(catalogue.folders(), []);
  });
});

t.test('one process holds the lock; it says who, and goes with a process that is killed', async (t) => {
  await withState(async (dir) => {
    const state = await openStateFolder(dir);
    {
      using _held = await state.lock('backup');
      await t.rejects(state.lock('retention'), { code: 'LOCKED', message: /backup, process \d+/ });
    }
    const script = `
      const { openStateFolder } = await import(${JSON.stringify(path.resolve(import.meta.dirname, '../src/adapters/state-folder.ts'))});
      await (await openStateFolder(${JSON.stringify(dir)})).lock('killed');
      process.kill(process.pid, 'SIGKILL');`;
    const killed = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    t.equal(killed.signal, 'SIGKILL');
    t.match(fs.readFileSync(path.join(dir, 'lock'), 'utf8'), /killed/);
    using _again = await state.lock('backup');
    t.pass('a lock that a dead process left is free');
  });
});

t.test('the manifest that is kept is the newest, with the hash of its bytes', async (t) => {
  await withState(async (dir) => {
    const state = await openStateFolder(dir);
    await state.keepManifest(RUN, one('first'), { digest: 'aa' });
    await state.keepManifest(NEXT, one('second'), { digest: 'bb' });
    t.equal(await state.keptManifest(RUN), undefined);
    const kept = await state.keptManifest(NEXT);
    t.equal(Buffer.concat(await Array.fromAsync(kept?.read() ?? [])).toString(), 'second');
    t.equal(kept?.digest, 'bb');
    const sha256 = '16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4';
    t.same(kept?.stored, { sizeBytes: 6, sha256 });
    const stored = { sizeBytes: 60, sha256: 'cc' };
    await state.keepManifest(NEXT, one('second'), { digest: 'bb', stored });
    t.same((await state.keptManifest(NEXT))?.stored, stored, 'or of what the storage made of the same text');
    t.same(fs.readdirSync(path.join(dir, 'kept')).sort(), [`${NEXT}.digests`, `${NEXT}.impl`]);
  });
});

t.test('a draft is kept as it was written, or is gone', async (t) => {
  await withState(async (dir) => {
    const state = await openStateFolder(dir);
    await state.keepManifest(RUN, one('first'), { digest: 'aa' });
    {
      await using draft = await state.draft();
      await draft.write(Buffer.from('given up'));
      draft.flush();
    }
    {
      await using draft = await state.draft();
      for (const piece of ['sec', 'ond']) await draft.write(Buffer.from(piece));
      t.equal(Buffer.concat(await Array.fromAsync(draft.read())).toString(), 'second');
      await draft.keepAs(NEXT, { digest: 'bb', sha256: 'cc' });
    }
    const kept = await state.keptManifest(NEXT);
    t.equal(Buffer.concat(await Array.fromAsync(kept?.read() ?? [])).toString(), 'second');
    t.same(kept?.stored, { sizeBytes: 6, sha256: 'cc' });
    t.same(fs.readdirSync(path.join(dir, 'kept')).sort(), [`${NEXT}.digests`, `${NEXT}.impl`]);
    t.notOk(fs.readdirSync(dir).some((name) => name.startsWith('draft')));
  });
});

t.test('last runs are remembered, and a damaged note counts as none', async (t) => {
  await withState(async (dir) => {
    const state = await openStateFolder(dir);
    const last = {
      lastSuccess: { run: RUN, status: 'complete', startedAtMs: 1, finishedAtMs: 2 },
      lastAttempt: { startedAtMs: 3, finishedAtMs: 4, exitStatus: 13, message: 'full' },
      frozen: { reason: 'too much was gone', sinceRun: RUN },
    } as const;
    await state.saveLastRuns(last);
    t.same(await state.lastRuns(), last);
    fs.writeFileSync(path.join(dir, 'last.json'), '{"lastSuccess": {"run": "no run"');
    t.same(await state.lastRuns(), { lastSuccess: undefined, lastAttempt: undefined, frozen: undefined });
  });
});

async function* one(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
