import type { Acl, Entry } from '@bakker/impl-format';
import t from 'tap';
import { compareEntries } from '../../src/backup/compare.ts';

const FILE: Entry = {
  path: Buffer.from('a/file'),
  type: 'file',
  sizeBytes: 10,
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  user: 'ann',
  group: 'ann',
  mtimeNs: 1_000n,
  ctimeNs: 2_000n,
  inode: 7n,
  filesystem: 0,
  linkCount: 1,
  sha256: Buffer.alloc(32, 1),
  stored: { kind: 'own' },
};
const { sha256: _, ...SCANNED } = FILE;
const LINK: Entry = { ...SCANNED, type: 'symlink', sizeBytes: 0, target: Buffer.from('x') };
const DEVICE: Entry = { ...SCANNED, type: 'char', sizeBytes: 0, device: { major: 1, minor: 3 } };

const aclOf = (name?: string, id = 50): Acl => ({
  access: [{ tag: 'group', perms: 6, id, ...(name === undefined ? undefined : { name }) }],
});
const CAPABILITY = { name: Buffer.from('security.capability'), value: Buffer.from('cap') };

const CASES: readonly (readonly [string, Entry, Entry, ReturnType<typeof compareEntries>])[] = [
  ['nothing changed', SCANNED, FILE, 'same'],
  ['another size', { ...SCANNED, sizeBytes: 11 }, FILE, 'content'],
  ['another type', LINK, FILE, 'content'],
  ['another mtime', { ...SCANNED, mtimeNs: 1_001n, ctimeNs: 3_000n }, FILE, 'look'],
  ['another inode', { ...SCANNED, inode: 8n }, FILE, 'look'],
  ['a ctime that a chmod explains', { ...SCANNED, ctimeNs: 3_000n, mode: 0o600 }, FILE, 'metadata'],
  ['a ctime that a new link explains', { ...SCANNED, ctimeNs: 3_000n, linkCount: 2 }, FILE, 'metadata'],
  [
    'a ctime that nothing explains: written, and mtime set back',
    { ...SCANNED, ctimeNs: 3_000n },
    FILE,
    'look',
  ],
  [
    'a ctime that a chmod explains, of an inode that is old enough',
    { ...SCANNED, ctimeNs: 3_000n, mode: 0o600, bornNs: 2_000n },
    FILE,
    'metadata',
  ],
  [
    'another mode, and an inode that was made since: a new file that got the number',
    { ...SCANNED, ctimeNs: 3_000n, mode: 0o600, bornNs: 2_001n },
    FILE,
    'look',
  ],
  [
    'a lost setuid bit: writing takes it',
    { ...SCANNED, ctimeNs: 3_000n, mode: 0o755 },
    { ...FILE, mode: 0o4755 },
    'look',
  ],
  ['a lost capability', { ...SCANNED, ctimeNs: 3_000n }, { ...FILE, xattrs: [CAPABILITY] }, 'look'],
  ['a new capability', { ...SCANNED, ctimeNs: 3_000n, xattrs: [CAPABILITY] }, FILE, 'metadata'],
  [
    'an owner who is called otherwise now: no ctime moves by that',
    { ...SCANNED, ctimeNs: 3_000n, user: 'ben' },
    FILE,
    'look',
  ],
  [
    'a group that has no name now, in an ACL, too',
    { ...SCANNED, ctimeNs: 3_000n, acl: aclOf() },
    { ...FILE, acl: aclOf('staff') },
    'look',
  ],
  [
    'another user in an ACL',
    { ...SCANNED, ctimeNs: 3_000n, acl: aclOf('staff') },
    { ...FILE, acl: aclOf('staff', 51) },
    'metadata',
  ],
  ['read in the clock tick of its last change', SCANNED, { ...FILE, unsettled: true }, 'look'],
  ['a parent that could not read it', SCANNED, { ...SCANNED, unreadable: 'EACCES' }, 'content'],
  ['the same symlink', LINK, LINK, 'same'],
  ['another target', { ...LINK, target: Buffer.from('y') }, LINK, 'content'],
  ['a symlink of another owner', { ...LINK, uid: 0 }, LINK, 'metadata'],
  ['the same device', DEVICE, DEVICE, 'same'],
  ['another device', { ...DEVICE, device: { major: 1, minor: 5 } }, DEVICE, 'content'],
];

for (const [what, now, before, expected] of CASES) {
  t.test(`compared with the parent, ${what} is "${expected}"`, async (t) => {
    t.equal(compareEntries(now, before), expected);
  });
}

t.test('each attribute that the manifest keeps makes a moved ctime "metadata"', async (t) => {
  const changes: readonly Partial<Entry>[] = [
    { gid: 5 },
    { xattrs: [{ name: Buffer.from('user.a'), value: Buffer.from('1') }] },
    { acl: { access: [{ tag: 'user', perms: 6, id: 5 }] } },
    { acl: { default: [{ tag: 'other', perms: 0 }] } },
  ];
  for (const change of changes)
    t.equal(compareEntries({ ...SCANNED, ctimeNs: 9n, ...change }, FILE), 'metadata');
});
