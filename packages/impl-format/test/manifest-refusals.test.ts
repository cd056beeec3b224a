import t from 'tap';
import {
  checkManifestBytes,
  createManifestEncoder,
  ManifestError,
  readManifest,
  type Entry,
  type ManifestHeader,
} from '../src/index.ts';
import {
  fileEntry,
  FINISH,
  forged,
  HEADER,
  manifestOf,
  otherEntry,
  piecesOf,
  readAll,
  textOf,
  writeManifest,
} from './samples.ts';

const SAMPLE = await writeManifest([
  otherEntry('a', 'directory', {
    linkCount: 2,
    acl: { access: [{ tag: 'user', perms: 7, id: 5, name: 'eve' }] },
  }),
  fileEntry('a/b', {
    user: 'root',
    filesystem: 1,
    sha256: Buffer.alloc(32, 0xab),
    xattrs: [{ name: Buffer.from('user.x'), value: Buffer.from([1]) }],
    extents: [{ offsetBytes: 1, lengthBytes: 1 }],
  }),
  otherEntry('a/c', 'symlink', {
    target: Buffer.from('b'),
    stored: { kind: 'elsewhere', at: Buffer.from('x') },
  }),
  otherEntry('a/d', 'char', {
    device: { major: 1, minor: 3 },
    stored: { kind: 'manifest' },
    unsettled: true,
  }),
  fileEntry('a/e', { unreadable: 'EACCES' }),
]);

interface Refusal {
  readonly why: string;
  /** Line number from 1, the text in it, and what it becomes. */
  readonly line: number;
  readonly from: string;
  readonly to: string;
  readonly code: string;
  readonly path?: string;
  readonly reason?: string | RegExp;
}

const LINE_REFUSALS: readonly Refusal[] = [
  {
    why: 'parent folder',
    line: 3,
    from: '"a/b"',
    to: '"a/.."',
    code: 'HOSTILE',
    path: 'a/..',
    reason: 'a component of the path is ".."',
  },
  {
    why: 'absolute',
    line: 3,
    from: '"a/b"',
    to: '"/a/b"',
    code: 'HOSTILE',
    path: '/a/b',
    reason: 'the path is absolute',
  },
  {
    why: 'empty component',
    line: 3,
    from: '"a/b"',
    to: '"a//b"',
    code: 'HOSTILE',
    path: 'a//b',
    reason: 'the path has an empty component',
  },
  {
    why: 'empty path',
    line: 3,
    from: '"a/b"',
    to: '""',
    code: 'HOSTILE',
    path: '',
    reason: 'the path is empty',
  },
  {
    why: 'NUL',
    line: 3,
    from: '"a/b"',
    to: '"a\\u0000b"',
    code: 'HOSTILE',
    path: 'a\\u0000b',
    reason: 'the path has a NUL byte',
  },
  {
    why: 'terminal codes in a path',
    line: 3,
    from: '"a/b"',
    to: '"/\\u001b[2J\\n\u00c2\u009b"',
    code: 'HOSTILE',
    path: '/\\u001b[2J\\n\\u009b',
  },
  {
    why: 'no UTF-8 in a message',
    line: 3,
    from: '"a/b"',
    to: '{"b64":"L/8="}',
    code: 'HOSTILE',
    path: '/\\xff',
  },
  {
    why: 'stored elsewhere, outside',
    line: 4,
    from: '{"at":"x"}',
    to: '{"at":"../x"}',
    code: 'HOSTILE',
    path: 'a/c',
  },
  {
    why: 'below a file',
    line: 4,
    from: '"a/c"',
    to: '"a/b/c"',
    code: 'HOSTILE',
    path: 'a/b/c',
    reason: 'the path lies below a file',
  },
  {
    why: 'below a symlink',
    line: 5,
    from: '"a/d"',
    to: '"a/c/d"',
    code: 'HOSTILE',
    path: 'a/c/d',
    reason: 'the path lies below a symlink',
  },
  { why: 'out of order', line: 5, from: '"a/d"', to: '"a/bb"', code: 'UNSORTED', path: 'a/bb' },
  {
    why: 'twice',
    line: 5,
    from: '"a/d"',
    to: '"a/c"',
    code: 'UNSORTED',
    path: 'a/c',
    reason: 'the path is there twice',
  },
  {
    why: 'unknown key at the end',
    line: 6,
    from: ',"unreadable"',
    to: ',"colour":1,"unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
    reason: 'unknown key "colour"',
  },
  {
    why: 'unknown key in the middle',
    line: 3,
    from: ',"gid"',
    to: ',"colour":1,"gid"',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'expected ,"gid":',
  },
  {
    why: '__proto__',
    line: 6,
    from: ',"unreadable"',
    to: ',"__proto__":{},"unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
    reason: 'unknown key "__proto__"',
  },
  {
    why: 'a key twice',
    line: 6,
    from: ',"unreadable"',
    to: ',"unreadable":"EIO","unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
  },
  {
    why: 'two keys the wrong way round',
    line: 5,
    from: ',"stored":"manifest","unsettled":true',
    to: ',"unsettled":true,"stored":"manifest"',
    code: 'MALFORMED',
    path: 'a/d',
  },
  { why: 'white space', line: 3, from: '"uid":0', to: '"uid": 0', code: 'MALFORMED', path: 'a/b' },
  { why: 'white space at the end', line: 3, from: ']]}', to: ']]} ', code: 'MALFORMED', path: 'a/b' },
  { why: 'carriage return', line: 2, from: '}]}}', to: '}]}}\r', code: 'MALFORMED', path: 'a' },
  { why: 'no brace', line: 6, from: '"EACCES"}', to: '"EACCES"', code: 'MALFORMED', path: 'a/e' },
  { why: 'no path', line: 3, from: '"path":"a/b",', to: '', code: 'MALFORMED' },
  { why: 'path is a number', line: 3, from: '"a/b"', to: '7', code: 'MALFORMED' },
  // The text ends at the next quotation mark.
  { why: 'path without an end', line: 3, from: '"a/b"', to: '"a/b', code: 'MALFORMED', path: 'a/b,' },
  {
    why: 'path that is not UTF-8',
    line: 3,
    from: '"a/b"',
    to: '"a/\xff"',
    code: 'MALFORMED',
    reason: 'text is not UTF-8',
  },
  {
    why: 'text not UTF-8 after an escape',
    line: 3,
    from: '"a/b"',
    to: '"a/\\n\xff"',
    code: 'MALFORMED',
    reason: 'text is not JSON',
  },
  { why: 'raw control character', line: 3, from: '"a/b"', to: '"a/\t"', code: 'MALFORMED' },
  {
    why: 'needless escape',
    line: 3,
    from: '"a/b"',
    to: '"a\\/b"',
    code: 'MALFORMED',
    reason: 'text is not in its one form',
  },
  { why: 'lone surrogate', line: 3, from: '"a/b"', to: '"a/\\ud800"', code: 'MALFORMED' },
  { why: 'escape at the end of the line', line: 3, from: '"a/b"', to: '"a/b\\', code: 'MALFORMED' },
  {
    why: 'base64 of text',
    line: 3,
    from: '"a/b"',
    to: '{"b64":"YS9i"}',
    code: 'MALFORMED',
    reason: 'b64 where text would do',
  },
  {
    why: 'base64 with spare bits',
    line: 3,
    from: '"a/b"',
    to: '{"b64":"/x=="}',
    code: 'MALFORMED',
  },
  {
    why: 'unknown type',
    line: 3,
    from: '"file"',
    to: '"door"',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'the type is unknown',
  },
  {
    why: 'size of a folder',
    line: 2,
    from: '"directory"',
    to: '"directory","size":1',
    code: 'MALFORMED',
    path: 'a',
  },
  { why: 'negative size', line: 3, from: '"size":3', to: '"size":-3', code: 'MALFORMED', path: 'a/b' },
  { why: 'fraction', line: 3, from: '"size":3', to: '"size":3.5', code: 'MALFORMED', path: 'a/b' },
  { why: 'exponent', line: 3, from: '"size":3', to: '"size":3e2', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'leading zero',
    line: 3,
    from: '"size":3',
    to: '"size":03',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'a number has a leading zero',
  },
  {
    why: 'inexact size',
    line: 3,
    from: '"size":3',
    to: '"size":9007199254740992',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'a number is out of range',
  },
  {
    why: 'endless size',
    line: 3,
    from: '"size":3',
    to: `"size":${'9'.repeat(400)}`,
    code: 'MALFORMED',
    path: 'a/b',
  },
  { why: 'size as text', line: 3, from: '"size":3', to: '"size":"3"', code: 'MALFORMED', path: 'a/b' },
  { why: 'mode too short', line: 3, from: '"0644"', to: '"644"', code: 'MALFORMED', path: 'a/b' },
  { why: 'mode too long', line: 3, from: '"0644"', to: '"10644"', code: 'MALFORMED', path: 'a/b' },
  { why: 'mode not octal', line: 3, from: '"0644"', to: '"0648"', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'uid too large',
    line: 3,
    from: '"uid":0',
    to: '"uid":4294967296',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'uid is out of range',
  },
  { why: 'gid too large', line: 3, from: '"gid":0', to: '"gid":4294967296', code: 'MALFORMED', path: 'a/b' },
  { why: 'user as a number', line: 3, from: '"root"', to: '0', code: 'MALFORMED', path: 'a/b' },
  { why: 'user as bytes', line: 3, from: '"root"', to: '{"b64":"/w=="}', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'time as a number',
    line: 3,
    from: '"1713488400123456789"',
    to: '1713488400123456789',
    code: 'MALFORMED',
    path: 'a/b',
  },
  {
    why: 'time with a plus',
    line: 3,
    from: '"mtimeNs":"',
    to: '"mtimeNs":"+',
    code: 'MALFORMED',
    path: 'a/b',
  },
  {
    why: 'minus zero',
    line: 3,
    from: '"mtimeNs":"1713488400123456789"',
    to: '"mtimeNs":"-0"',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'a time is minus zero',
  },
  {
    why: 'time too long',
    line: 3,
    from: '"mtimeNs":"',
    to: '"mtimeNs":"1000000000',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'a number is out of range',
  },
  {
    why: 'inode too large',
    line: 3,
    from: '"inode":"12"',
    to: '"inode":"18446744073709551616"',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'the inode is out of range',
  },
  {
    why: 'negative inode',
    line: 3,
    from: '"inode":"12"',
    to: '"inode":"-12"',
    code: 'MALFORMED',
    path: 'a/b',
  },
  {
    why: 'unknown file system',
    line: 3,
    from: '"fs":1',
    to: '"fs":2',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'fs is none of the file systems in the header',
  },
  { why: 'fs written though 0', line: 3, from: '"fs":1', to: '"fs":0', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'links written though 1',
    line: 2,
    from: '"links":2',
    to: '"links":1',
    code: 'MALFORMED',
    path: 'a',
  },
  {
    why: 'links too many',
    line: 2,
    from: '"links":2',
    to: '"links":4294967296',
    code: 'MALFORMED',
    path: 'a',
  },
  {
    why: 'hash in capitals',
    line: 3,
    from: 'abababab',
    to: 'ABABABAB',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'sha256 is not 64 hex digits',
  },
  { why: 'hash too short', line: 3, from: 'abababab', to: 'ababab', code: 'MALFORMED', path: 'a/b' },
  { why: 'hash too long', line: 3, from: 'abababab', to: 'ababababab', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'hash of a folder',
    line: 2,
    from: ',"acl"',
    to: `,"sha256":"${'ab'.repeat(32)}","acl"`,
    code: 'MALFORMED',
    path: 'a',
    reason: 'a directory has a sha256',
  },
  {
    why: 'device number of a file',
    line: 6,
    from: ',"unreadable"',
    to: ',"rdev":[1,1],"unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
    reason: 'a file has a device number',
  },
  {
    why: 'device without a number',
    line: 5,
    from: ',"rdev":[1,3]',
    to: '',
    code: 'MALFORMED',
    path: 'a/d',
    reason: 'a char has no device number',
  },
  { why: 'device number of three', line: 5, from: '[1,3]', to: '[1,3,5]', code: 'MALFORMED', path: 'a/d' },
  { why: 'device number negative', line: 5, from: '[1,3]', to: '[1,-3]', code: 'MALFORMED', path: 'a/d' },
  { why: 'device number minus zero', line: 5, from: '[1,3]', to: '[1,-0]', code: 'MALFORMED', path: 'a/d' },
  {
    why: 'symlink without a target',
    line: 4,
    from: ',"target":"b"',
    to: '',
    code: 'MALFORMED',
    path: 'a/c',
    reason: 'a symlink has no target',
  },
  { why: 'empty target', line: 4, from: '"target":"b"', to: '"target":""', code: 'MALFORMED', path: 'a/c' },
  {
    why: 'target with NUL',
    line: 4,
    from: '"target":"b"',
    to: '"target":"b\\u0000"',
    code: 'MALFORMED',
    path: 'a/c',
  },
  {
    why: 'target too long',
    line: 4,
    from: '"target":"b"',
    to: `"target":"${'b'.repeat(4097)}"`,
    code: 'MALFORMED',
    path: 'a/c',
  },
  {
    why: 'target of a file',
    line: 6,
    from: ',"unreadable"',
    to: ',"target":"b","unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
  },
  {
    why: 'empty acl',
    line: 2,
    from: /"acl":.*\}\]\}/.exec(textOf(SAMPLE))?.[0] ?? '',
    to: '"acl":{}',
    code: 'MALFORMED',
    path: 'a',
  },
  {
    why: 'unknown acl tag',
    line: 2,
    from: '"tag":"user"',
    to: '"tag":"owner"',
    code: 'MALFORMED',
    path: 'a',
    reason: 'an ACL entry has an unknown tag',
  },
  { why: 'acl perms', line: 2, from: '"perms":7', to: '"perms":8', code: 'MALFORMED', path: 'a' },
  {
    why: 'acl key',
    line: 2,
    from: '"perms":7',
    to: '"perms":7,"x":1',
    code: 'MALFORMED',
    path: 'a',
    reason: 'unknown key "x"',
  },
  {
    why: 'acl user without id',
    line: 2,
    from: '"id":5,',
    to: '',
    code: 'MALFORMED',
    path: 'a',
    reason: 'an ACL entry user lacks its id',
  },
  {
    why: 'acl mask with id',
    line: 2,
    from: '"tag":"user"',
    to: '"tag":"mask"',
    code: 'MALFORMED',
    path: 'a',
    reason: 'an ACL entry mask has an id',
  },
  {
    why: 'acl name with a lone surrogate',
    line: 2,
    from: '"eve"',
    to: '"\\udfff"',
    code: 'MALFORMED',
    path: 'a',
  },
  {
    why: 'default acl of a file',
    line: 6,
    from: ',"unreadable"',
    to: ',"acl":{"default":[{"tag":"mask","perms":7}]},"unreadable"',
    code: 'MALFORMED',
    path: 'a/e',
    reason: 'a file has a default ACL',
  },
  { why: 'xattr value not base64', line: 3, from: '"AQ=="', to: '"AQ"', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'xattr value larger than Linux has any',
    line: 3,
    from: '"AQ=="',
    to: `"${Buffer.alloc(65_537).toString('base64')}"`,
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'the value of an extended attribute is longer than Linux allows',
  },
  {
    why: 'xattr name longer than Linux has any',
    line: 3,
    from: '"user.x"',
    to: `"${'x'.repeat(256)}"`,
    code: 'MALFORMED',
    path: 'a/b',
  },
  { why: 'xattr without a name', line: 3, from: '"user.x"', to: '""', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'xattrs out of order',
    line: 3,
    from: '[["user.x","AQ=="]]',
    to: '[["user.x","AQ=="],["user.a","AQ=="]]',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'the extended attributes are not in order',
  },
  {
    why: 'xattr twice',
    line: 3,
    from: '[["user.x","AQ=="]]',
    to: '[["user.x","AQ=="],["user.x","AQ=="]]',
    code: 'MALFORMED',
    path: 'a/b',
  },
  { why: 'xattrs empty', line: 3, from: '[["user.x","AQ=="]]', to: '[]', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'extent after the end',
    line: 3,
    from: '[[1,1]]',
    to: '[[2,2]]',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'an extent ends after the file',
  },
  { why: 'extent empty', line: 3, from: '[[1,1]]', to: '[[1,0]]', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'extents touch',
    line: 3,
    from: '[[1,1]]',
    to: '[[0,1],[1,1]]',
    code: 'MALFORMED',
    path: 'a/b',
    reason: 'the extents are not in order, or touch',
  },
  { why: 'extents overlap', line: 3, from: '[[1,1]]', to: '[[0,2],[1,1]]', code: 'MALFORMED', path: 'a/b' },
  { why: 'extent of three', line: 3, from: '[[1,1]]', to: '[[1,1,1]]', code: 'MALFORMED', path: 'a/b' },
  {
    why: 'extents of a symlink',
    line: 4,
    from: ',"stored"',
    to: ',"extents":[],"stored"',
    code: 'MALFORMED',
    path: 'a/c',
  },
  { why: 'stored unknown', line: 5, from: '"manifest"', to: '"cloud"', code: 'MALFORMED', path: 'a/d' },
  { why: 'stored own written', line: 5, from: '"manifest"', to: '"own"', code: 'MALFORMED', path: 'a/d' },
  { why: 'stored null', line: 5, from: '"manifest"', to: 'null', code: 'MALFORMED', path: 'a/d' },
  {
    why: 'unsettled false',
    line: 5,
    from: '"unsettled":true',
    to: '"unsettled":false',
    code: 'MALFORMED',
    path: 'a/d',
  },
  {
    why: 'unsettled 1',
    line: 5,
    from: '"unsettled":true',
    to: '"unsettled":1',
    code: 'MALFORMED',
    path: 'a/d',
  },
  { why: 'unreadable in words', line: 6, from: '"EACCES"', to: '"no idea"', code: 'MALFORMED', path: 'a/e' },
  { why: 'an empty line', line: 3, from: '{"path":"a/b"', to: '\n{"path":"a/b"', code: 'MALFORMED' },
  {
    why: 'another trailer',
    line: 6,
    from: '{"path":"a/e"',
    to: '{"end":true}\n{"path":"a/e"',
    code: 'MALFORMED',
  },
  { why: 'a header of something else', line: 1, from: '"impl"', to: '"diff"', code: 'VERSION' },
  {
    why: 'a newer version',
    line: 1,
    from: '"version":1',
    to: '"version":2',
    code: 'VERSION',
    reason: 'version 2 is unknown to this program, which reads 1',
  },
  {
    why: 'a version nested deeper than any stack',
    line: 1,
    from: '"version":1',
    to: `"version":${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    code: 'VERSION',
  },
  { why: 'version as text', line: 1, from: '"version":1', to: '"version":"1"', code: 'VERSION' },
  { why: 'no version', line: 1, from: '"version":1,', to: '', code: 'VERSION' },
  { why: 'header no JSON', line: 1, from: '{"bakker"', to: 'bakker', code: 'MALFORMED', reason: 'not JSON' },
  {
    why: 'header an array',
    line: 1,
    from: /^.*$/m.exec(textOf(SAMPLE))?.[0] ?? '',
    to: '[]',
    code: 'MALFORMED',
  },
  {
    why: 'header not UTF-8',
    line: 1,
    from: 'web1',
    to: 'web\xff',
    code: 'MALFORMED',
    reason: 'text is not UTF-8',
  },
  {
    why: 'header with an unknown key',
    line: 1,
    from: '"host"',
    to: '"colour":1,"host"',
    code: 'MALFORMED',
    reason: 'unknown key "colour"',
  },
  {
    why: 'header keys out of order',
    line: 1,
    from: '"host":"web1","agent":"0.1.0"',
    to: '"agent":"0.1.0","host":"web1"',
    code: 'MALFORMED',
    reason: 'the line is not in its one form',
  },
  {
    why: 'run no run name',
    line: 1,
    from: '"run":"2024_04_19_01"',
    to: '"run":"../x"',
    code: 'MALFORMED',
    reason: 'run is no run name',
  },
  {
    why: 'parent of tomorrow',
    line: 1,
    from: '2024_04_18_01',
    to: '2024_04_19_02',
    code: 'MALFORMED',
    reason: 'the parent is not older than the run',
  },
  { why: 'parent without digest', line: 1, from: `"${'ab'.repeat(32)}"`, to: 'null', code: 'MALFORMED' },
  { why: 'parent digest no digest', line: 1, from: 'abab', to: 'xx', code: 'MALFORMED' },
  {
    why: 'time not UTC',
    line: 1,
    from: '01:00:00.000Z',
    to: '01:00:00.000+02:00',
    code: 'MALFORMED',
    reason: 'startedAt is not a time',
  },
  { why: 'time without ms', line: 1, from: '01:00:00.000Z', to: '01:00:00Z', code: 'MALFORMED' },
  {
    why: 'source relative',
    line: 1,
    from: '"/srv",',
    to: '"srv",',
    code: 'MALFORMED',
    reason: 'a source is not absolute',
  },
  { why: 'source hostile', line: 1, from: '"/srv",', to: '"/srv/../etc",', code: 'HOSTILE' },
  {
    why: 'mount point hostile',
    line: 1,
    from: '"mountPoint":"/srv"',
    to: '"mountPoint":"//"',
    code: 'HOSTILE',
  },
  { why: 'file system key', line: 1, from: '"type":"xfs"', to: '"type":"xfs","x":1', code: 'MALFORMED' },
  {
    why: 'trailer counts wrong',
    line: 7,
    from: '"files":2',
    to: '"files":3',
    code: 'DAMAGED',
    reason: 'the trailer counts 3 files, but there are 2',
  },
  { why: 'trailer bytes wrong', line: 7, from: '"bytes":6', to: '"bytes":7', code: 'DAMAGED' },
  { why: 'trailer entries wrong', line: 7, from: '"entries":5', to: '"entries":4', code: 'DAMAGED' },
  { why: 'trailer key', line: 7, from: '"addedBytes"', to: '"x":1,"addedBytes"', code: 'MALFORMED' },
  { why: 'trailer count key', line: 7, from: '"entries"', to: '"x":1,"entries"', code: 'MALFORMED' },
  { why: 'trailer end false', line: 7, from: '"end":true', to: '"end":false', code: 'MALFORMED' },
  { why: 'trailer number', line: 7, from: '"addedBytes":42', to: '"addedBytes":4.2', code: 'MALFORMED' },
  { why: 'trailer gone', line: 7, from: '{"end"', to: '{"fin"', code: 'TRUNCATED' },
];

t.test('a forged line is refused, with its number and its path, even with a true digest', async (t) => {
  for (const { why, line, from, to, code, path, reason } of LINE_REFUSALS) {
    const bytes = forged(SAMPLE, (lines) => {
      const text = lines[line - 1] ?? '';
      if (!text.includes(from) || from === '') t.fail(`${why}: line ${line} has no ${from}`);
      return lines.with(
        line - 1,
        text.replace(from, () => to),
      );
    });
    const error = await problemOf(bytes);
    t.equal(error?.code, code, `${why}: ${error?.message}`);
    // What ends early ends after the line before.
    if (code !== 'TRUNCATED') t.equal(error?.line, line, `${why}: line`);
    t.equal(error?.path, path, `${why}: path`);
    if (reason !== undefined) t.match(error?.reason, reason, `${why}: reason`);
    t.match(error?.message, /^test\.impl, line \d+/);
    t.notMatch(error?.message, /[\u0000-\u001f\u007f-\u009f]/u);
  }
});

t.test('the message names source, line, path and reason', async (t) => {
  const bytes = forged(SAMPLE, (lines) => lines.map((line) => line.replace('"a/b"', '"a/../b"')));
  t.equal((await problemOf(bytes))?.message, 'test.impl, line 3, a/../b: a component of the path is ".."');
});

t.test('a line that a forger left alone is accepted', async (t) => {
  t.equal((await readAll(forged(SAMPLE, (lines) => lines))).entries.length, 5);
});

t.test('lines taken out, put in or changed without a new digest are noticed', async (t) => {
  const lines = textOf(SAMPLE).split('\n');
  const text = (changed: string[]): Buffer => manifestOf(changed.join('\n'));
  const changes: readonly (readonly [why: string, bytes: Buffer, code: string])[] = [
    ['a line out', text(lines.toSpliced(5, 1)), 'DAMAGED'],
    ['a digit', text(lines.with(5, (lines[5] ?? '').replace('"inode":"12"', '"inode":"13"'))), 'DAMAGED'],
    ['an entry after the trailer', text([...lines.slice(0, -1), lines[5] ?? '', '']), 'TRUNCATED'],
    ['a second trailer', text([...lines.slice(0, -1), lines[6] ?? '', '']), 'MALFORMED'],
    ['no trailer', text([...lines.slice(0, 6), '']), 'TRUNCATED'],
    ['no last newline', text(lines.slice(0, -1)), 'TRUNCATED'],
    ['header only', text([lines[0] ?? '', '']), 'TRUNCATED'],
    ['nothing', manifestOf(''), 'TRUNCATED'],
    ['no bytes', Buffer.alloc(0), 'TRUNCATED'],
    ['text that is not compressed', Buffer.from(textOf(SAMPLE)), 'DAMAGED'],
    ['bytes after the stream', Buffer.concat([SAMPLE, Buffer.from('more')]), 'DAMAGED'],
    ['the stream twice', Buffer.concat([SAMPLE, SAMPLE]), 'DAMAGED'],
  ];
  for (const [why, bytes, code] of changes) t.equal((await problemOf(bytes))?.code, code, why);
});

t.test('checkManifestBytes sees damage, but does not look into the lines', async (t) => {
  const lines = textOf(SAMPLE).split('\n');
  const check = (bytes: Uint8Array) => checkManifestBytes(piecesOf(bytes), { source: 'test.impl' });
  t.strictSame((await check(SAMPLE)).counts.entries, 5);
  await t.rejects(check(manifestOf(lines.toSpliced(5, 1).join('\n'))), {
    code: 'DAMAGED',
    source: 'test.impl',
  });
  await t.rejects(check(forged(SAMPLE, (all) => all.toSpliced(5, 1))), {
    code: 'DAMAGED',
    reason: 'the trailer counts 5 entries, but there are 4',
  });
  await t.rejects(check(SAMPLE.subarray(0, -1)), { code: 'TRUNCATED' });
  const ofRun = (run: string) => checkManifestBytes(piecesOf(SAMPLE), { run });
  t.equal((await ofRun(HEADER.run)).counts.entries, 5);
  await t.rejects(ofRun('2024_04_17_01'), {
    code: 'DAMAGED',
    reason: `it is the manifest of ${HEADER.run}`,
  });
  await t.rejects(check(forged(SAMPLE, (all) => all.map((l) => l.replace('"version":1', '"version":9')))), {
    code: 'VERSION',
  });
});

t.test('a header that is refused lets go of what it was read from', async (t) => {
  const bytes = forged(SAMPLE, (all) => all.map((line) => line.replace('"version":1', '"version":9')));
  let isReleased = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (let sent = 0; sent < bytes.length; sent++) yield bytes.subarray(sent, sent + 1);
    } finally {
      isReleased = true;
    }
  }
  await t.rejects(readManifest(source()), { code: 'VERSION' });
  t.ok(isReleased);
});

t.test('memory is bounded against bombs', async (t) => {
  const bomb = manifestOf(`${textOf(SAMPLE).split('\n')[0]}\n${' '.repeat(17 * 1024 * 1024)}\n`);
  const problem = await problemOf(bomb);
  t.equal(problem?.code, 'MALFORMED');
  t.equal(problem?.reason, 'a line is longer than 16777216 bytes');
});

t.test('the writer refuses what a reader would, with the path', async (t) => {
  const wrong: readonly (readonly [entries: readonly Entry[], code: string, path: string])[] = [
    [[fileEntry('b'), fileEntry('a')], 'UNSORTED', 'a'],
    [[fileEntry('a'), fileEntry('a')], 'UNSORTED', 'a'],
    [[fileEntry('a'), fileEntry('a/b')], 'HOSTILE', 'a/b'],
    [[fileEntry('a/../b')], 'HOSTILE', 'a/../b'],
    [[fileEntry('a', { sizeBytes: 1.5 })], 'MALFORMED', 'a'],
    [[fileEntry('a', { sizeBytes: Number.NaN })], 'MALFORMED', 'a'],
    [[fileEntry('a', { mode: 0o100644 })], 'MALFORMED', 'a'],
    [[fileEntry('a', { uid: -1 })], 'MALFORMED', 'a'],
    [[fileEntry('a', { filesystem: 2 })], 'MALFORMED', 'a'],
    [[fileEntry('a', { inode: 2n ** 64n })], 'MALFORMED', 'a'],
    [[fileEntry('a', { inode: -1n })], 'MALFORMED', 'a'],
    [[fileEntry('a', { mtimeNs: 10n ** 28n })], 'MALFORMED', 'a'],
    [[fileEntry('a', { ctimeNs: -(10n ** 28n) })], 'MALFORMED', 'a'],
    [[fileEntry('a', { user: '\ud800' })], 'MALFORMED', 'a'],
    [
      [fileEntry('a', { acl: { access: [{ tag: 'user', perms: 7, id: 1, name: '\ud800' }] } })],
      'MALFORMED',
      'a',
    ],
    [[fileEntry('a', { sha256: Buffer.alloc(31) })], 'MALFORMED', 'a'],
    [[otherEntry('a', 'directory', { sizeBytes: 4096 })], 'MALFORMED', 'a'],
    [[fileEntry('a', { user: 'x'.repeat(17 * 1024 * 1024) })], 'MALFORMED', 'a'],
    [[fileEntry('a', { sizeBytes: 2 ** 52 }), fileEntry('b', { sizeBytes: 2 ** 52 })], 'MALFORMED', 'b'],
  ];
  for (const [entries, code, path] of wrong) {
    using encoder = createManifestEncoder(HEADER);
    await t.rejects(encoder.encode(entries), { name: 'ManifestError', code, path, line: entries.length + 1 });
    await t.rejects(encoder.finish(FINISH), { message: /failed/ }, 'nothing can be finished after it');
  }
});

t.test('the writer refuses a header or an end that a reader would', async (t) => {
  const headers: readonly (readonly [change: Partial<ManifestHeader>, code: string])[] = [
    [{ run: '2024_04_31_01' }, 'MALFORMED'],
    [{ parent: null }, 'MALFORMED'],
    [{ parentDigest: null }, 'MALFORMED'],
    [{ parent: HEADER.run }, 'MALFORMED'],
    [{ host: '\ud800' }, 'MALFORMED'],
    [{ startedAtMs: -1 }, 'MALFORMED'],
    [{ startedAtMs: 0.5 }, 'MALFORMED'],
    [{ sources: [Buffer.from('srv')] }, 'MALFORMED'],
    [{ sources: [Buffer.from('/srv/')] }, 'HOSTILE'],
  ];
  for (const [change, code] of headers) {
    t.throws(() => createManifestEncoder({ ...HEADER, ...change }), { name: 'ManifestError', code, line: 1 });
  }
  t.strictSame(
    (await readAll(await writeManifest([], { ...HEADER, parent: null, parentDigest: null }))).header.parent,
    null,
  );
  using encoder = createManifestEncoder(HEADER);
  await t.rejects(encoder.finish({ ...FINISH, addedBytes: -1 }), {
    name: 'ManifestError',
    code: 'MALFORMED',
  });
  await t.rejects(encoder.encode([]), { message: /finished/ });
});

async function problemOf(bytes: Uint8Array): Promise<ManifestError | undefined> {
  try {
    const reader = await readManifest(piecesOf(bytes), { source: 'test.impl' });
    await Array.fromAsync(reader.batches());
    return undefined;
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
}
