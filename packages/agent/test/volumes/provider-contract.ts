import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import type { Test } from 'tap';
import type { Entry } from '@bakker/impl-format';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { viewBelow } from '../../src/adapters/source/source-view.ts';
import type { RunCommand } from '../../src/adapters/volumes/commands.ts';
import type { ProviderName } from '../../src/ports/volumes.ts';
import { freeze } from '../../src/volumes/freeze.ts';
import { openWorld, source } from './world.ts';

export interface Subject {
  readonly provider: ProviderName;
  /** Mount point of a file system of its own that the provider can freeze. */
  readonly folder: string;
  readonly command?: RunCommand;
  /** What the provider has made there: snapshots, not copies that are kept. */
  readonly snapshots: () => Promise<readonly string[]>;
}

/** What every provider has to do. */
export async function providerContract(t: Test, subject: Subject): Promise<void> {
  const { provider, folder } = subject;
  const settings = { provider } as const;
  const data = `${folder}/data`;

  await t.test('frozen content stays while the live files go on', async (t) => {
    fillTree(data);
    await using world = await openWorld(subject);
    const plan = await world.volumes.plan([source(data, settings)]);
    t.match(plan.volumes, [{ provider, problem: undefined, mountPoints: [Buffer.from(folder)] }]);
    const isCopy = provider === 'reflink' || provider === 'mirror';
    t.equal(plan.volumes[0]?.moment === undefined, isCopy, 'copied files are each of another moment');
    const expected = await readTree('/', data);
    {
      await using view = await freeze(world.volumes, plan, {
        journal: world.journal,
        signal: new AbortController().signal,
        id: 'first',
      });
      fs.writeFileSync(`${data}/a file`, 'changed since');
      fs.rmSync(`${data}/sub`, { recursive: true });
      fs.writeFileSync(`${data}/new since`, 'x');
      const root = view.root.toString();
      t.strictSame(await readTree(root, data), expected);
      t.throws(() => fs.writeFileSync(`${root}${data}/a file`, 'x'), { code: 'EROFS' });
      t.equal(fs.statSync(world.viewsDir).mode & 0o777, 0o700, 'nobody else sees it');
      await view.check();
      t.strictSame(view.problems, []);
    }
    t.strictSame(world.mounts(), []);
    t.notOk(fs.existsSync(world.viewsDir), 'no folder is left');
    t.strictSame(await subject.snapshots(), []);
    t.strictSame(world.journal.pending(), []);
  });

  await t.test('a file that did not change has the same identity in the next view', async (t) => {
    fillTree(data);
    settle(data);
    await using world = await openWorld(subject);
    const identities: Map<string, string>[] = [];
    for (const id of ['one', 'two']) {
      const plan = await world.volumes.plan([source(data, settings)]);
      await using view = await freeze(world.volumes, plan, {
        journal: world.journal,
        signal: new AbortController().signal,
        id,
      });
      identities.push(await readIdentities(view.root.toString(), data));
      fs.writeFileSync(`${data}/a file`, 'changed between');
    }
    const [one, two] = identities;
    if (!one || !two) throw new Error('views are missing');
    const changed = [...one].filter(([path, identity]) => two.get(path) !== identity).map(([path]) => path);
    t.strictSame(changed, ['a file']);
  });

  await t.test('a mount that somebody takes away never looks like an empty folder', async (t) => {
    fillTree(data);
    await using world = await openWorld(subject);
    const plan = await world.volumes.plan([source(data, settings)]);
    await using view = await freeze(world.volumes, plan, {
      journal: world.journal,
      signal: new AbortController().signal,
    });
    execFileSync('umount', ['-l', `${view.root.toString()}${folder}`]);
    await t.rejects(view.check(), {
      code: 'SNAPSHOT_FAILED',
      exitStatus: 14,
      message: /not mounted any more/,
    });
  });

  await t.test('what is disposed before it is mounted leaves nothing', async (t) => {
    fillTree(data);
    await using world = await openWorld(subject);
    const plan = await world.volumes.plan([source(data, settings)]);
    const freezing = await world.volumes.prepare(plan, {
      journal: world.journal,
      signal: new AbortController().signal,
    });
    await freezing.take();
    await freezing[Symbol.asyncDispose]();
    await freezing[Symbol.asyncDispose]();
    t.strictSame(await subject.snapshots(), []);
    t.strictSame(world.mounts(), []);
    t.strictSame(world.journal.pending(), []);
  });

  await t.test('an interrupted freezing leaves nothing', async (t) => {
    await using world = await openWorld(subject);
    const plan = await world.volumes.plan([source(data, settings)]);
    const stop = new AbortController();
    const freezing = await world.volumes.prepare(plan, { journal: world.journal, signal: stop.signal });
    stop.abort(new Error('enough'));
    await t.rejects(freezing.take(), /enough/);
    await freezing[Symbol.asyncDispose]();
    t.strictSame(await subject.snapshots(), []);
    t.strictSame(world.journal.pending(), []);
  });
}

/** Files, names that are no UTF-8, holes, links, modes, owners, attributes, ACLs, nodes. */
export function fillTree(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(`${folder}/sub/deep`, { recursive: true });
  fs.mkdirSync(`${folder}/locked`, { mode: 0o700 });
  fs.writeFileSync(`${folder}/a file`, 'first');
  fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a])]), 'bytes');
  fs.writeFileSync(`${folder}/sub/deep/leaf`, 'leaf', { mode: 0o640 });
  fs.writeFileSync(`${folder}/sub.txt`, 'between sub and sub/');
  fs.chownSync(`${folder}/sub/deep/leaf`, 1234, 2345);
  fs.linkSync(`${folder}/sub/deep/leaf`, `${folder}/locked/same`);
  fs.symlinkSync('../nowhere', `${folder}/sub/link`);
  fs.writeFileSync(`${folder}/holes`, 'x');
  fs.truncateSync(`${folder}/holes`, 5_000_000);
  fs.writeFileSync(`${folder}/setuid`, 'x');
  fs.chmodSync(`${folder}/setuid`, 0o4755);
  execFileSync('mkfifo', [`${folder}/fifo`]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', `${folder}/a file`]);
  execFileSync('setfacl', ['-m', 'u:1234:r', `${folder}/a file`]);
  execFileSync('setfacl', ['-d', '-m', 'u:1234:rwx', `${folder}/sub`]);
  fs.utimesSync(`${folder}/a file`, 1_500_000_000, 1_500_000_000);
  fs.utimesSync(`${folder}/sub`, 1_400_000_000, 1_400_000_000);
}

/** What the sources say, without what only a file system's own number tells. */
export async function readTree(root: string, folder: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  const groups = new Map<string, string>();
  for (const { entry, content, key } of await scan(root, folder)) {
    const id = `${entry.filesystem} ${entry.inode}`;
    if (!groups.has(id)) groups.set(id, key);
    found[key] = {
      type: entry.type,
      mode: entry.mode,
      owner: `${entry.uid}:${entry.gid}`,
      mtimeNs: entry.mtimeNs,
      size: entry.sizeBytes,
      target: entry.target?.toString(),
      acl: entry.acl,
      xattrs: entry.xattrs?.map(({ name, value }) => `${name.toString()}=${value.toString('latin1')}`),
      linkCount: entry.type === 'directory' ? undefined : entry.linkCount,
      sameAs: groups.get(id),
      content,
    };
  }
  return found;
}

async function readIdentities(root: string, folder: string): Promise<Map<string, string>> {
  const files = (await scan(root, folder)).filter(({ entry }) => entry.type === 'file');
  return new Map(
    files.map(({ entry: { inode, ctimeNs, mtimeNs, sizeBytes }, key }) => [
      key,
      `${inode} ${ctimeNs} ${mtimeNs} ${sizeBytes}`,
    ]),
  );
}

async function scan(
  root: string,
  folder: string,
): Promise<{ entry: Entry; content: string | undefined; key: string }[]> {
  const tree = openSourceTree(viewBelow(Buffer.from(root)));
  try {
    const rules = { path: Buffer.from(folder), excludes: [], oneFilesystem: true, honourMarkers: true };
    const onProblem = (problem: object): never => {
      throw new Error(JSON.stringify(problem));
    };
    const plan = { sources: [rules], onProblem };
    const survey = await tree.survey(plan);
    const found: { entry: Entry; content: string | undefined; key: string }[] = [];
    for await (const batch of tree.scan(plan, survey, { signal: new AbortController().signal })) {
      for (const entry of batch) {
        const path = `/${entry.path.toString('latin1')}`;
        if (path !== folder && !path.startsWith(`${folder}/`)) continue;
        const isFile = entry.type === 'file';
        const content = isFile ? tree.readWhole(entry).content.toString('latin1').slice(0, 100) : undefined;
        found.push({ entry, content, key: path.slice(folder.length + 1) });
      }
    }
    return found;
  } finally {
    tree.close();
  }
}

/** Makes every ctime older than what counts as just written. */
function settle(folder: string): void {
  const untilMs = fs.statSync(`${folder}/fifo`).ctimeMs + 2_200;
  const waitMs = untilMs - Date.now();
  if (waitMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
}
