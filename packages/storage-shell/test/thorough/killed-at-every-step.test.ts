import { SftpConnectionError } from '@bakker/sftp';
import { classifyName, manifestName } from '@bakker/impl-format';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { Shell, publishRun, temporaryRoot } from '../session/shell-client.ts';

const DIE_AT = fileURLToPath(new URL('../session/die-at.ts', import.meta.url));

/** Everything that a session does: begins, writes in each way, publishes, clears up. */
async function wholeSession(shell: Shell, parent: string): Promise<void> {
  await shell.hello();
  const { carried } = await shell.begin(parent);
  await shell.put('new/small', 'small');
  const handle = await shell.create('new/large');
  await shell.client.write({ bytes: handle, path: Buffer.from('large') }, 0, Buffer.from('large'));
  await shell.finish(handle, 5);
  await shell.tree((script) => {
    script.symlink(Buffer.from('symlink'), Buffer.from('/'));
    for (const token of carried) script.link(Buffer.from('old'), token, Buffer.from('half'));
    script.keepRest();
  });
  await shell.publish({ files: 4, directories: 2, symlinks: 1, bytes: 10 + 8 + 4 });
  await shell.cleanUp();
}

/** The design's first two invariants, looked at on the disk. @returns the newest complete run */
function checkInvariants(t: Test, account: string, first: string): string {
  const names = readdirSync(account);
  const runs = names.filter((name) => classifyName(Buffer.from(name)).kind === 'run').sort();
  for (const run of runs) {
    const receipt = JSON.parse(readFileSync(`${account}/.bakker/receipts/${run}.json`, 'utf8'));
    const manifest = readFileSync(`${account}/${run}.impl`);
    if (createHash('sha256').update(manifest).digest('hex') !== receipt.manifestSha256)
      t.fail(`${run} has not the manifest that its receipt says`);
    if (readFileSync(`${account}/${run}/kept/file`, 'utf8') !== 'the past') t.fail(`${run} is not whole`);
  }
  const latest = readlinkSync(`${account}/latest`);
  if (!runs.includes(latest)) t.fail('latest points at no run');
  if (!runs.includes(first)) t.fail('the past went');
  const newest = runs.at(-1) ?? first;
  // Between the rename of the run and that of `latest`, which is mended by the next session.
  if (latest !== newest && latest !== first) t.fail('latest points at an old run');
  return newest;
}

t.test(
  'a session that is killed at any step leaves a whole account, and the next one publishes',
  async (t) => {
    using model = temporaryRoot('model');
    const first = await publishRun(model.path, { 'kept/file': 'the past' });
    {
      await using cut = await Shell.open({ root: model.path });
      await cut.begin(first);
      await cut.put('half', 'half');
    }
    let deaths = 0;
    for (let isDying = true; isDying && deaths < 500;) {
      const fatal = deaths + 1;
      const batch = Array.from({ length: AT_ONCE }, (_, index) =>
        dieAt(t, { fatal: fatal + index, model, first }),
      );
      const died = (await Promise.all(batch)).filter((wasKilled) => wasKilled).length;
      deaths += died;
      isDying = died === AT_ONCE;
    }
    t.ok(deaths > 25 && deaths < 500, `${deaths} deaths`);
  },
);

const AT_ONCE = 4;

interface Death {
  readonly fatal: number;
  readonly model: { readonly account: string };
  readonly first: string;
}

/** @returns whether it died; false if the session has fewer steps */
async function dieAt(t: Test, { fatal, model, first }: Death): Promise<boolean> {
  using root = temporaryRoot('killed');
  execFileSync('cp', ['-a', `${model.account}/.`, root.account]);
  const shell = await Shell.start({
    root: root.path,
    preload: DIE_AT,
    env: { DIE_AT: String(fatal) },
  }).catch(ended);
  if (shell !== undefined) await wholeSession(shell, first).catch(ended);
  await shell?.end();
  const wasKilled = shell === undefined || shell.child.signalCode === 'SIGKILL';
  const parent = checkInvariants(t, root.account, first);
  await using next = await Shell.open({ root: root.path });
  const begun = await next.begin(parent);
  const script = await next.tree((tree) => tree.keepRest());
  if (script.length > 0) t.fail('the parent is not whole');
  const isSecond = parent !== first;
  await next.publish(
    isSecond
      ? { files: 4, directories: 2, symlinks: 1, bytes: 10 + 8 + 4 }
      : { files: 1, directories: 1, bytes: 8 },
  );
  await next.cleanUp();
  const left = readdirSync(`${root.account}/.bakker`).sort();
  t.same(
    left.filter((name) => name !== 'carried'),
    ['id', 'lock', 'receipts', 'trash'],
    `death ${fatal}: nothing is left behind`,
  );
  if (left.includes('carried')) t.same(readdirSync(`${root.account}/.bakker/carried`), []);
  t.same(
    readdirSync(root.account).filter((name) => classifyName(Buffer.from(name)).kind === 'incomplete'),
    [],
  );
  t.equal(readlinkSync(`${root.account}/latest`), begun.run);
  t.ok(readdirSync(root.account).includes(manifestName(begun.run)));
  return wasKilled;
}

/** What a client sees of a death is the end of the line. */
function ended(error: unknown): undefined {
  if (!(error instanceof SftpConnectionError)) throw error;
}
