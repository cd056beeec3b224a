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
  ['a parent that read a part of it', SCANNED, { ...FILE, unreadable: 'EIO' }, 'content'],
  ['the same symlink', LINK, LINK, 'same'],
  ['another target', { ...LINK, target: Buffer.from('y') }, LINK, 'content'],
  ['a symlink of another owner', { ...LINK, uid: 0 }, LINK, 'metadata'],
  ['the same device', DEVICE, DEVICE, 'same'],
  ['another device', { ...DEVICE, device: { major: 1, minor: 5 } }, DEVICE, 'content'],
];

/** The parent is the last run. */
const LAST = { isOlder: false };

for (const [what, now, before, expected] of CASES) {
  t.test(`compared with the parent, ${what} is "${expected}"`, async (t) => {
    t.equal(compareEntries(now, before, LAST), expected);
  });
}

t.test('each attribute that the manifest keeps makes a moved ctime "metadata"', async (t) => {
  const xattrs = (value: string) => [{ name: Buffer.from('user.a'), value: Buffer.from(value) }];
  const line = { tag: 'user', perms: 6, id: 5, name: 'ann' } as const;
  const had: Partial<Entry> = { xattrs: xattrs('1'), acl: { access: [line], default: [line] } };
  const changes: readonly Partial<Entry>[] = [
    { uid: 5 },
    { gid: 5 },
    { mode: 0o600 },
    { xattrs: [] },
    { xattrs: xattrs('2') },
    { xattrs: [...xattrs('1'), { name: Buffer.from('user.b'), value: Buffer.from('1') }] },
    ...[
      [{ ...line, tag: 'group' as const }],
      [{ ...line, perms: 4 }],
      [{ ...line, id: 6 }],
      [line, { tag: 'other' as const, perms: 0 }],
      [],
    ].flatMap((acl) => [
      { acl: { access: acl, default: [line] } },
      { acl: { access: [line], default: acl } },
    ]),
  ];
  const folder = { ...SCANNED, ...had, type: 'directory' as const, sizeBytes: 0 };
  t.equal(
    compareEntries({ ...folder, linkCount: 3 }, folder, LAST),
    'same',
    'a folder counts folders as links',
  );
  for (const change of changes) {
    const what = JSON.stringify(change);
    t.equal(
      compareEntries({ ...SCANNED, ...had, ctimeNs: 9n, ...change }, { ...FILE, ...had }, LAST),
      'metadata',
      what,
    );
    t.equal(compareEntries({ ...folder, ...change }, folder, LAST), 'metadata', `a folder: ${what}`);
  }
  for (const names of [{ user: 'ben' }, { group: 'staff' }, { acl: { access: [{ ...line, name: 'ben' }] } }])
    t.equal(
      compareEntries({ ...folder, ...names }, folder, LAST),
      'metadata',
      `a folder: ${JSON.stringify(names)}`,
    );
});

t.test('where runs lie between, no metadata explains a moved ctime', (t) => {
  const older = { isOlder: true };
  const moved = { ...SCANNED, ctimeNs: 3_000n, mode: 0o600 };
  t.equal(compareEntries(moved, FILE, LAST), 'metadata');
  t.equal(compareEntries(moved, FILE, older), 'look');
  t.equal(compareEntries(SCANNED, FILE, older), 'same', 'a ctime that did not move tells enough');
  t.end();
});
