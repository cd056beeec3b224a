import Database from 'better-sqlite3';
import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { SqliteBlockMemory } from '../../src/adapters/state/sqlite-block-memory.ts';

const FILESYSTEM = Buffer.from('/');
const BLOCK = 64 * 1024;

function content(
  name: string,
  { blocks = 4, inode = 1n, instead }: { blocks?: number; inode?: bigint; instead?: Buffer } = {},
) {
  const sha256 = createHash('sha256').update(name).digest();
  const prints = { sizeBytes: blocks * BLOCK - 7, blockBytes: BLOCK, prints: randomBytes(blocks * 16) };
  return { sha256, blocks: { ...prints, sealed: undefined }, filesystem: FILESYSTEM, inode, instead };
}

t.test('fingerprints are found by the content that they are of, and by nothing else', async (t) => {
  const file = `${t.testdir()}/blocks.sqlite`;
  const [a, b] = [content('a'), content('b', { inode: 2n ** 64n - 1n })];
  const sealed = { ...b, blocks: { ...b.blocks, sealed: Buffer.from('header') } };
  {
    using memory = new SqliteBlockMemory(file, 'account');
    memory.add(a);
    memory.add(sealed);
  }
  using memory = new SqliteBlockMemory(file, 'account');
  t.same(memory.byContent(a.blocks.sizeBytes, a.sha256), a.blocks);
  t.same(memory.byContent(a.blocks.sizeBytes, b.sha256), sealed.blocks);
  t.equal(memory.byContent(a.blocks.sizeBytes + 1, a.sha256), undefined, 'another size');
  t.match(memory.byInode(FILESYSTEM, 2n ** 64n - 1n), { sha256: b.sha256 });
  t.equal(memory.byInode(Buffer.from('/home'), 1n), undefined);
  memory.forget(a.sha256);
  t.equal(memory.byContent(a.blocks.sizeBytes, a.sha256), undefined);
});

t.test('another account begins anew, with another key', async (t) => {
  const file = `${t.testdir()}/blocks.sqlite`;
  const a = content('a');
  const first = new SqliteBlockMemory(file, 'account');
  const { key } = first;
  first.add(a);
  first[Symbol.dispose]();
  using again = new SqliteBlockMemory(file, 'account');
  t.same(again.key, key);
  again[Symbol.dispose]();
  using other = new SqliteBlockMemory(file, 'other');
  t.equal(other.key.length, 32);
  t.notOk(other.key.equals(key));
  t.equal(other.byContent(a.blocks.sizeBytes, a.sha256), undefined);
});

t.test('content that stands in its own place is known on', (t) => {
  using memory = new SqliteBlockMemory(`${t.testdir()}/blocks.sqlite`, 'account');
  const a = content('a');
  memory.add(a);
  memory.add({ ...a, instead: a.sha256 });
  memory.published();
  t.same(memory.byContent(a.blocks.sizeBytes, a.sha256), a.blocks);
  t.end();
});

t.test('what the disk altered is not used', async (t) => {
  const file = `${t.testdir()}/blocks.sqlite`;
  const [a, b, c] = [content('a'), content('b'), content('c')];
  {
    using before = new SqliteBlockMemory(file, 'account');
    for (const each of [a, b, c]) before.add(each);
  }
  const database = new Database(file);
  database.prepare('UPDATE blocks SET prints = ? WHERE sha256 = ?').run(b.blocks.prints, a.sha256);
  database.prepare('UPDATE blocks SET sealed = ? WHERE sha256 = ?').run(Buffer.from('x'), b.sha256);
  database.prepare('UPDATE blocks SET blockBytes = blockBytes * 2 WHERE sha256 = ?').run(c.sha256);
  database.close();
  using memory = new SqliteBlockMemory(file, 'account');
  for (const each of [a, b, c]) t.equal(memory.byContent(each.blocks.sizeBytes, each.sha256), undefined);
});

t.test('what was replaced goes with the publish, and stays if there was none', async (t) => {
  const file = `${t.testdir()}/blocks.sqlite`;
  const a = content('a');
  const b = content('b', { instead: a.sha256 });
  {
    using killed = new SqliteBlockMemory(file, 'account');
    killed.add(a);
    killed.add(b);
  }
  {
    using next = new SqliteBlockMemory(file, 'account');
    next.published();
    t.ok(next.byContent(a.blocks.sizeBytes, a.sha256), 'the run that replaced it was never published');
    next.add(b);
    next.published();
    t.equal(next.byContent(a.blocks.sizeBytes, a.sha256), undefined);
    t.ok(next.byContent(b.blocks.sizeBytes, b.sha256));
  }
});

t.test('more than there is room for: the oldest go', async (t) => {
  const file = `${t.testdir()}/blocks.sqlite`;
  using memory = new SqliteBlockMemory(file, 'account', { mostBytes: 16 * 10 });
  const all = Array.from({ length: 5 }, (_, index) => content(`${index}`));
  for (const each of all) memory.add(each);
  memory.published();
  const there = all.map(({ blocks, sha256 }) => memory.byContent(blocks.sizeBytes, sha256) !== undefined);
  t.same(there, [false, false, false, true, true]);
});
