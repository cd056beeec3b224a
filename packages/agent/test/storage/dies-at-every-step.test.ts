import { classifyName } from '@bakker/impl-format';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { LocalFileStore } from '../../src/adapters/plain/local-file-store.ts';
import { PlainAccount } from '../../src/adapters/plain/plain-account.ts';
import type { FileStore } from '../../src/adapters/plain/file-store.ts';
import { publishedRun } from './account-contract.ts';

/** Requests that change something. After the fatal one nothing is done any more, as if the process or the line had died. */
const EFFECTS = new Set<PropertyKey>([
  'mkdir',
  'rmdir',
  'link',
  'symlink',
  'writeFile',
  'openFile',
  'renameNew',
  'renameOver',
  'remove',
]);

const DIED = /died here/;

function dying(): Promise<never> {
  return Promise.reject(new Error('died here'));
}

async function* dyingList(): AsyncGenerator<never> {
  yield await dying();
}

/** Passes requests on until the `fatal`-th one that changes something; counts them. */
function mortal(store: FileStore, fatal: number): { store: FileStore; effects: () => number } {
  let effects = 0;
  const proxy = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (EFFECTS.has(name)) effects++;
        if (effects >= fatal && name !== Symbol.asyncDispose) return name === 'list' ? dyingList() : dying();
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { store: proxy, effects: () => effects };
}

/** The design's first two invariants, looked at on the disk. */
function checkInvariants(t: Test, folder: string, before: ReadonlyMap<string, string>): void {
  const names = fs.readdirSync(folder);
  const runs = names.filter((name) => classifyName(Buffer.from(name)).kind === 'run');
  for (const run of runs) t.ok(names.includes(`${run}.impl`), `${run} has its manifest`);
  if (names.includes('latest'))
    t.ok(runs.includes(fs.readlinkSync(path.join(folder, 'latest'))), 'latest points at a run');
  else t.same(runs, [], 'only an account without runs has no latest');
  for (const [file, content] of before) {
    if (runs.includes(file.split('/')[0] ?? ''))
      t.equal(fs.readFileSync(path.join(folder, file), 'utf8'), content);
  }
}

async function withFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-dies-'));
  try {
    await act(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

async function countEffects(
  prepare: (account: PlainAccount) => Promise<void>,
  act: (account: PlainAccount) => Promise<unknown>,
) {
  let count = 0;
  await withFolder(async (folder) => {
    await prepare(new PlainAccount(new LocalFileStore(folder)));
    const { store, effects } = mortal(new LocalFileStore(folder), Number.POSITIVE_INFINITY);
    await act(new PlainAccount(store));
    count = effects();
  });
  return count;
}

const writeSecond = (account: PlainAccount) => publishedRun(account, { 'a/one': 'second', 'a/two': 'new' });
const prepareOne = async (account: PlainAccount) => {
  await publishedRun(account, { 'a/one': 'first' });
};

t.test('a run that dies at any step leaves every invariant, and the next one is published', async (t) => {
  const total = await countEffects(prepareOne, writeSecond);
  t.ok(total > 10, `${total} requests change something`);
  for (let fatal = 1; fatal <= total; fatal++) {
    await withFolder(async (folder) => {
      const healthy = new PlainAccount(new LocalFileStore(folder));
      const first = await publishedRun(healthy, { 'a/one': 'first' });
      const { store } = mortal(new LocalFileStore(folder), fatal);
      await t.rejects(writeSecond(new PlainAccount(store)), DIED, `dies at step ${fatal}`);
      const before = new Map([[`${first}/a/one`, 'first']]);
      checkInvariants(t, folder, before);
      await using writer = await healthy.begin({ nowMs: Date.now() });
      const newest = (await healthy.listRuns()).filter(({ state }) => state === 'complete').at(-1);
      t.equal(await healthy.latest(), newest?.run, 'the next run mends latest');
      t.ok((newest?.run ?? '') < writer.run, 'its name comes after all others');
      const next = await publishedRun(healthy, { 'a/one': 'third' });
      checkInvariants(t, folder, before);
      t.equal(await healthy.latest(), next);
    });
  }
});

t.test('a removal that dies at any step leaves no half run under a good name', async (t) => {
  const signal = new AbortController().signal;
  let doomed = '';
  const prepareTwo = async (account: PlainAccount) => {
    doomed = await publishedRun(account, { 'a/one': '1', 'b/c/two': '2' });
    await publishedRun(account, { 'a/one': '3' });
  };
  const removeOldest = async (account: PlainAccount) => {
    const oldest = (await account.listRuns())[0];
    if (oldest) await account.removeRun(oldest.run, { signal });
  };
  const total = await countEffects(prepareTwo, removeOldest);
  for (let fatal = 1; fatal <= total; fatal++) {
    await withFolder(async (folder) => {
      const healthy = new PlainAccount(new LocalFileStore(folder));
      await prepareTwo(healthy);
      const whole = new Map([
        [`${doomed}/a/one`, '1'],
        [`${doomed}/b/c/two`, '2'],
      ]);
      const { store } = mortal(new LocalFileStore(folder), fatal);
      await t.rejects(removeOldest(new PlainAccount(store)), DIED, `dies at step ${fatal}`);
      checkInvariants(t, folder, whole);
      await healthy.emptyTrash({ signal });
      t.same(fs.readdirSync(path.join(folder, '.bakker/trash')), []);
      const runs = (await healthy.listRuns()).map(({ run }) => `${run}.json`);
      t.same(fs.readdirSync(path.join(folder, '.bakker/receipts')).sort(), runs, 'no receipt is left over');
    });
  }
});
