import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import t from 'tap';
import { getXattr, setXattr } from '@bakker/linux';
import { decodeAcl, encodeAcl, isMinimalAcl, nameAcl } from '../../src/source/posix-acl.ts';
import { temporaryFolder } from './tree.ts';

t.test('what setfacl wrote is decoded, and what is encoded is what getfacl reads', (t) => {
  using folder = temporaryFolder('acl');
  for (const name of ['from', 'to']) fs.writeFileSync(`${folder.path}/${name}`, '');
  execFileSync('setfacl', ['-m', 'u:33:rw,u:1:r,g:4000000000:x,m::rwx', `${folder.path}/from`]);
  const value = getXattr(Buffer.from(`${folder.path}/from`), 'system.posix_acl_access');
  const entries = decodeAcl(value ?? Buffer.alloc(0));
  t.same(entries, [
    { tag: 'user-obj', perms: 6 },
    { tag: 'user', perms: 4, id: 1 },
    { tag: 'user', perms: 6, id: 33 },
    { tag: 'group-obj', perms: 4 },
    { tag: 'group', perms: 1, id: 4_000_000_000 },
    { tag: 'mask', perms: 7 },
    { tag: 'other', perms: 4 },
  ]);
  const encoded = encodeAcl(entries.toReversed());
  t.same(encoded, value, 'in the order that the kernel asks for, whatever the order given');
  setXattr(Buffer.from(`${folder.path}/to`), { name: 'system.posix_acl_access', value: encoded });
  const shown = (name: string) => execFileSync('getfacl', ['-pcn', `${folder.path}/${name}`]).toString();
  t.equal(shown('to'), shown('from'));
  t.end();
});

t.test('names are filled in where there are any', (t) => {
  const names = { userName: (id: number) => (id === 1 ? 'daemon' : undefined), groupName: () => 'staff' };
  const acl = [
    { tag: 'user', perms: 4, id: 1 },
    { tag: 'user', perms: 4, id: 2 },
    { tag: 'group', perms: 4, id: 1 },
    { tag: 'mask', perms: 4 },
  ] as const;
  t.same(nameAcl(acl, names), [{ ...acl[0], name: 'daemon' }, acl[1], { ...acl[2], name: 'staff' }, acl[3]]);
  t.ok(
    isMinimalAcl([
      { tag: 'user-obj', perms: 6 },
      { tag: 'group-obj', perms: 4 },
      { tag: 'other', perms: 4 },
    ]),
  );
  t.notOk(isMinimalAcl(acl));
  t.end();
});

t.test('bytes that are no ACL are refused', (t) => {
  const good = encodeAcl([{ tag: 'user-obj', perms: 6 }]);
  const changed = (at: number, byte: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = byte;
    return bytes;
  };
  for (const bytes of [Buffer.alloc(0), good.subarray(0, 11), changed(0, 3), changed(4, 3), changed(6, 8)]) {
    t.throws(() => decodeAcl(bytes), { code: 'EINVAL' }, bytes.toString('hex'));
  }
  t.end();
});
