import { createHmac } from 'node:crypto';
import t from 'tap';
import { NameHider, newDirectoryId, newNameKey, ROOT_DIRECTORY_ID } from '../../src/sealed/index.ts';

t.test('a hidden name depends on key, directory and name, and on nothing else', async (t) => {
  const key = newNameKey();
  const [a, b] = [newDirectoryId(), newDirectoryId()];
  const hider = new NameHider(key);
  const name = Buffer.from('passwd');
  t.equal(hider.hide(a, name), new NameHider(key).hide(a, name));
  t.not(hider.hide(a, name), hider.hide(b, name));
  t.not(hider.hide(a, name), hider.hide(a, Buffer.from('Passwd')));
  t.not(hider.hide(a, name), new NameHider(newNameKey()).hide(a, name));
});

t.test('a hidden name suits every file system', async (t) => {
  const hider = new NameHider(newNameKey());
  for (const name of [
    Buffer.of(0xff, 0xfe),
    Buffer.alloc(255, 0x61),
    Buffer.from('CON'),
    Buffer.from('..x'),
  ]) {
    t.match(hider.hide(ROOT_DIRECTORY_ID, name), /^[a-z2-7]{26}$/);
  }
});

t.test('a hidden name is what the document says', async (t) => {
  const key = Buffer.alloc(32, 1);
  const digest = createHmac('sha256', key)
    .update(Buffer.concat([Buffer.from('bakker name 1\0'), Buffer.alloc(16), Buffer.from('etc')]))
    .digest('hex')
    .slice(0, 32);
  t.equal(new NameHider(key).hide(ROOT_DIRECTORY_ID, Buffer.from('etc')), base32(digest));
});

function base32(hex: string): string {
  const bits = [...Buffer.from(hex, 'hex')].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups
    .map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(group.padEnd(5, '0'), 2)])
    .join('');
}
