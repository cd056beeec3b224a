import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { mountThinDisk } from '../../../../test/harness/thin-disk.ts';
import { Shell, publishRun, statusOf } from './shell-client.ts';

const FAILED = 4;
const PIECE = Buffer.alloc(200_000, 7);
/** More than is written before the first early flush. */
const PIECES = 400;

/** A session that is cut off with a file stored. @returns its token */
async function cutOff(root: string, parent: string): Promise<string> {
  await using shell = await Shell.open({ root });
  const { token } = await shell.begin(parent);
  await shell.put('before', 'the content of a session before');
  return token;
}

/** What of the tokens of earlier sessions the next one is given, and can link from. */
async function knownLater(root: string, parent: string, tokens: readonly string[]): Promise<unknown> {
  await using shell = await Shell.open({ root });
  const { carried } = await shell.begin(parent);
  const failures = await shell.tree((script) => {
    for (const token of tokens) {
      script.link(Buffer.from(`from ${token}/before`), token, Buffer.from('before'));
      script.link(Buffer.from(`from ${token}/after`), token, Buffer.from('after'));
    }
  });
  const linked = tokens.length * 2 - failures.length;
  return { carried: carried.length, known: carried.filter((token) => tokens.includes(token)), linked };
}

/** An account with a run, and with content that a cut-off one left. */
async function withPast(root: string) {
  mkdirSync(`${root}/server1`);
  const first = await publishRun(root, { kept: 'the past' });
  return { first, before: await cutOff(root, first) };
}

t.test('an error that an early flush was told of is not forgotten at the end', async (t) => {
  await using disk = await mountThinDisk();
  const root = disk.folder;
  const { first, before } = await withPast(root);
  const tokens = [before];
  {
    await using shell = await Shell.open({ root });
    const begun = await shell.begin(first);
    tokens.push(begun.token);
    t.same(begun.carried, [before]);
    await shell.put('after', 'new');
    const handle = await shell.create('large');
    disk.exhaust();
    for (let index = 0; index < PIECES; index++) await shell.write(handle, index * PIECE.length, PIECE);
    // Tells this process of the error as well; then whatever the session flushes is done.
    t.throws(() => execFileSync('sync', ['-f', root], { stdio: 'ignore' }));
    await delay(500);
    disk.relieve();
    t.equal(await statusOf(shell.put('more', 'more')), FAILED, 'nothing more is taken');
    await shell.finish(handle, PIECES * PIECE.length);
    const objects = { files: 2, bytes: 3 + PIECES * PIECE.length };
    t.equal(await statusOf(shell.publish(objects)), FAILED);
    t.notOk(existsSync(`${root}/server1/${begun.run}`));
  }
  t.same(readdirSync(`${root}/server1/latest/`), ['kept']);
  t.same(await knownLater(root, first, tokens), { carried: 2, known: [], linked: 0 });
});

t.test('a run that could not be brought to the disk is not published by a second try either', async (t) => {
  await using disk = await mountThinDisk();
  const root = disk.folder;
  const { first, before } = await withPast(root);
  const tokens = [before];
  {
    await using shell = await Shell.open({ root });
    const begun = await shell.begin(first);
    tokens.push(begun.token);
    await shell.put('after', 'new');
    disk.exhaust();
    for (let index = 0; index < 50; index++) await shell.put(`more-${index}`, PIECE);
    const objects = { files: 51, bytes: 3 + 50 * PIECE.length };
    t.equal(await statusOf(shell.publish(objects)), FAILED);
    disk.relieve();
    t.equal(await statusOf(shell.publish(objects)), FAILED, 'though now the disk says that all is well');
    t.notOk(existsSync(`${root}/server1/${begun.run}`));
    shell.child.kill('SIGKILL');
  }
  t.same(await knownLater(root, first, tokens), { carried: 2, known: [], linked: 0 });
  const next = await publishRun(root, { after: 'new' }, first);
  t.same(readdirSync(`${root}/server1/${next}`), ['after'], 'the next run is published');
});
