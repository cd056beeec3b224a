import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { comparePaths } from '../../src/path-order.ts';
import {
  formatPrivateKey,
  formatPublicKey,
  generatePrivateKey,
  NameHider,
  newDirectoryId,
  newNameKey,
  publicKeyOf,
  ROOT_DIRECTORY_ID,
  Sealer,
} from '../../src/sealed/index.ts';
import { asContents, CHUNK_BYTES, randomContent, StridedFile, textContent } from './samples.ts';
import { readVectors, sealedFile } from './vectors.ts';

const PYTHON = '/usr/bin/python3';
const UNSEAL = new URL('../../../../scripts/unseal.py', import.meta.url).pathname;

t.test('unseal.py opens every vector, with every form of the key', async (t) => {
  using folder = tempFolder();
  const vectors = readVectors();
  writeFileSync(folder.at('key'), vectors.keyFile);
  writeFileSync(folder.at('paper'), vectors.paperKey);
  for (const { name, sha256 } of vectors.files) {
    t.equal(unseal(folder.at('key'), 'file', sealedFile(name), folder.at(name)), '', name);
    t.equal(hashOf(readFileSync(folder.at(name))), sha256);
  }
  t.equal(unseal(folder.at('paper'), 'file', sealedFile('text'), folder.at('by-paper')), '');
  const lines = unsealOut(folder.at('key'), 'manifest', sealedFile(vectors.manifest.name)).split('\n');
  t.match(JSON.parse(lines[1] ?? ''), { path: 'text', sha256: vectors.files[1]?.sha256 });
  const script = `import sys; sys.path.insert(0, ${JSON.stringify(dirname(UNSEAL))}); sys.dont_write_bytecode = True
import unseal; print(unseal.read_key(${JSON.stringify(vectors.protectedKeyFile)}, lambda: ${JSON.stringify(vectors.passphrase)}).hex())
try: unseal.read_key(${JSON.stringify(vectors.protectedKeyFile)}, lambda: "wrong")
except unseal.Refused as refused: print(refused)`;
  const { stdout } = spawnSync(PYTHON, ['-c', script], { encoding: 'utf8' });
  t.equal(stdout, `${vectors.privateKey}\nthe passphrase is wrong\n`);
});

t.test('unseal.py opens what was sealed just now, of every size around a chunk', async (t) => {
  using folder = tempFolder();
  const { sealer } = folder;
  const contents = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES].map(randomContent);
  for (const content of [...contents, textContent(200_000)]) {
    writeFileSync(folder.at('sealed'), sealer.sealSmall(content));
    rmSync(folder.at('out'), { force: true });
    t.equal(unseal(folder.key, 'file', folder.at('sealed'), folder.at('out')), '');
    t.ok(readFileSync(folder.at('out')).equals(content), `${content.length} bytes`);
  }
  const large = Buffer.concat([randomContent(2 * CHUNK_BYTES), Buffer.alloc(2 * CHUNK_BYTES + 9)]);
  const strided = sealer.strided(large.length);
  const file = new StridedFile();
  file.writeChunk(strided, large, 0);
  file.writeChunk(strided, large, 1);
  file.write(strided.offset(2), strided.sealHole({ index: 2, isLast: true }, 2 * CHUNK_BYTES + 9));
  file.write(0, strided.header(large.length));
  writeFileSync(folder.at('sealed'), file.bytes);
  t.equal(unseal(folder.key, 'file', folder.at('sealed'), folder.at('large')), '');
  t.ok(readFileSync(folder.at('large')).equals(large), 'strided, with a hole at its end');
});

t.test('unseal.py refuses what was altered, cut or sealed for others, and leaves no file', async (t) => {
  using folder = tempFolder();
  const { sealer } = folder;
  const small = sealer.sealSmall(randomContent(50));
  const large = new StridedFile().writeAll(
    sealer.strided(CHUNK_BYTES + 50),
    randomContent(CHUNK_BYTES + 50),
  ).bytes;
  const refused: Record<string, Buffer> = {
    'a stranger': new Sealer([publicKeyOf(generatePrivateKey())]).sealSmall(Buffer.from('x')),
    'no sealed file': Buffer.from('a text that nobody sealed, long enough to be a header'),
    empty: Buffer.alloc(0),
    longer: Buffer.concat([small, Buffer.of(0)]),
    'longer and strided': Buffer.concat([large, Buffer.of(0)]),
  };
  for (const [which, sealed] of [
    ['small', small],
    ['large', large],
  ] as const) {
    for (const at of [5, 9, 33, 65, 70, 110, sealed.length - 40, sealed.length - 1]) {
      const altered = Buffer.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ 4;
      refused[`${which} altered at ${at}`] = altered;
    }
    for (const length of [3, 31, 40, 120, sealed.length - 50, sealed.length - 1]) {
      refused[`${which} cut to ${length}`] = sealed.subarray(0, length);
    }
  }
  for (const [how, sealed] of Object.entries(refused)) {
    writeFileSync(folder.at('sealed'), sealed);
    t.match(unseal(folder.key, 'file', folder.at('sealed'), folder.at('out')), /^unseal: /, how);
    t.strictSame(
      readdirSync(folder.path).filter((name) => name.startsWith('out')),
      [],
    );
  }
});

t.test('unseal.py restores a run with hidden names, and names what is damaged', async (t) => {
  using folder = tempFolder();
  const contents: Record<string, Buffer> = {
    'srv/a.txt': Buffer.from('a\n'),
    'srv/deep/b.bin': randomContent(CHUNK_BYTES + 1),
    'srv/deep/hurt': randomContent(10),
    'srv/empty': Buffer.alloc(0),
  };
  const { manifest } = storeRun(folder, contents, { isHidden: true });
  t.equal(unsealOut(folder.key, 'manifest', join(folder.account, `${RUN}.impl`)), manifest);
  const stored = readdirSync(join(folder.account, RUN), { recursive: true, encoding: 'utf8' });
  // Of a fixed length: a hidden name may hold `txt` by chance, and does in one of a hundred runs.
  for (const path of stored) t.match(path, /^([a-z2-7]{26}\/)*[a-z2-7]{26}$/);
  t.equal(unseal(folder.key, 'run', folder.account, RUN, folder.at('whole')), '');
  for (const [path, content] of Object.entries(contents)) {
    t.ok(readFileSync(join(folder.at('whole'), path)).equals(content), path);
  }
  t.equal(readlinkSync(join(folder.at('whole'), 'srv/link')), 'a.txt');

  const sealer = folder.sealer;
  const { pathOf } = storeRun(folder, contents, { isHidden: true });
  writeFileSync(pathOf('srv/deep/hurt'), sealer.sealSmall(Buffer.from('a forgery!')));
  const said = unseal(folder.key, 'run', folder.account, RUN, folder.at('hurt'));
  t.equal(said, 'unseal: srv/deep/hurt: it is not the content that the manifest names\n');
  t.equal(existsSync(folder.at('hurt/srv/deep/hurt')), false);
  t.ok(readFileSync(folder.at('hurt/srv/deep/b.bin')).equals(contents['srv/deep/b.bin'] ?? Buffer.alloc(0)));
});

t.test('unseal.py restores a run with its own names, and never writes outside of its folder', async (t) => {
  using folder = tempFolder();
  storeRun(folder, { 'srv/a.txt': Buffer.from('a\n') }, { isHidden: false });
  t.equal(unseal(folder.key, 'run', folder.account, RUN, folder.at('whole')), '');
  t.equal(readFileSync(folder.at('whole/srv/a.txt'), 'utf8'), 'a\n');
  for (const path of ['../escaped', 'srv/link/escaped', '/escaped', 'srv/../../escaped']) {
    storeManifest(folder, [
      { path: 'srv', type: 'directory' },
      { path: 'srv/link', type: 'symlink', target: folder.path },
      { path, type: 'file', size: 2, sha256: hashOf(Buffer.from('a\n')), stored: { at: 'srv/a.txt' } },
    ]);
    const out = folder.at(`out-${randomBytes(4).toString('hex')}`);
    t.match(unseal(folder.key, 'run', folder.account, RUN, out), /a path leaves its place/, path);
    t.strictSame(
      [folder.at('escaped'), '/escaped'].filter((each) => existsSync(each)),
      [],
    );
  }
});

t.test('unseal.py takes no backed-up file for a manifest, and no manifest for a file', async (t) => {
  using folder = tempFolder();
  storeManifest(folder, [{ path: 'planted', type: 'symlink', target: '/etc', stored: 'manifest' }]);
  const at = folder.at(`account/${RUN}.impl`);
  const { status } = spawnSync(PYTHON, [UNSEAL, folder.key, 'manifest', at]);
  t.equal(status, 0, 'sealed as a manifest it is one');
  t.match(
    unseal(folder.key, 'file', at, folder.at('out')),
    /it is a manifest, and not the content of a file/,
  );
  t.equal(existsSync(folder.at('out')), false);
  const text = unsealOut(folder.key, 'manifest', at);
  for (const [how, sealed] of Object.entries(asContents(folder.sealer, zstdCompressSync(text)))) {
    writeFileSync(at, sealed);
    t.match(unseal(folder.key, 'manifest', at), /it is the content of a file, and not a manifest/, how);
    t.match(unseal(folder.key, 'run', folder.account, RUN, folder.at('run')), /not a manifest/, how);
    t.equal(existsSync(folder.at('run')), false);
    t.equal(unseal(folder.key, 'file', at, folder.at(how)), '', `${how}: it is a sound content`);
  }
});

t.test('unseal.py writes through no link that a manifest plants, wherever it plants it', async (t) => {
  using folder = tempFolder();
  const content = Buffer.from('planted');
  mkdirSync(folder.at(`account/${RUN}/srv`), { recursive: true });
  writeFileSync(folder.at(`account/${RUN}/srv/file`), folder.sealer.sealSmall(content));
  mkdirSync(folder.at('outside'));
  const link = { path: 'srv', type: 'symlink', target: folder.at('outside'), stored: 'manifest' };
  const directory = { path: 'srv', type: 'directory' };
  const file = fileLine('srv/file', content);
  for (const [why, lines, said] of [
    ['a link, then a folder of its name', [link, directory, file], /not in order/],
    ['a folder, then a link of its name', [directory, link, file], /not in order/],
    ['below a link', [link, file], /leaves its place/],
    ['twice', [directory, file, file], /not in order/],
    ['backwards', [directory, file, { path: 'a', type: 'directory' }], /not in order/],
    ['stored elsewhere', [directory, { ...file, stored: { at: '../../private' } }], /leaves its place/],
  ] as const) {
    storeManifest(folder, lines);
    rmSync(folder.at('out'), { recursive: true, force: true });
    t.match(unseal(folder.key, 'run', folder.account, RUN, folder.at('out')), said, why);
    t.same(readdirSync(folder.at('outside')), [], why);
    if (why !== 'stored elsewhere')
      t.match(
        unseal(folder.key, 'manifest', folder.at(`account/${RUN}.impl`)),
        said,
        `${why}: nor is it told`,
      );
  }
  // a disk that takes two names for one: a folder can't be made where a link is
  const script = `import os, sys; sys.path.insert(0, ${JSON.stringify(dirname(UNSEAL))}); sys.dont_write_bytecode = True
import unseal; real = os.mkdir
def mkdir(path, *more): os.symlink(${JSON.stringify(folder.at('outside'))}, path) if path.endswith(b"/srv") else None; real(path, *more)
os.mkdir = mkdir; unseal.main(sys.argv[1:])`;
  storeManifest(folder, [directory, file]);
  rmSync(folder.at('out'), { recursive: true, force: true });
  const words = [folder.key, 'run', folder.account, RUN, folder.at('out')];
  const { stderr } = spawnSync(PYTHON, ['-c', script, ...words], { encoding: 'utf8' });
  t.match(stderr, /srv: .*exists.*\n.*srv\/file: the folder that it is in is not there/s);
  t.same(readdirSync(folder.at('outside')), []);
});

t.test('unseal.py is not drowned, held up or fooled by what a storage puts there', async (t) => {
  using folder = tempFolder();
  const out = folder.at('out');
  const place = (name: string): string => folder.at(`account/${RUN}/${name}`);
  mkdirSync(place('srv'), { recursive: true });
  const restored = (...lines: readonly object[]): string => {
    storeManifest(folder, [{ path: 'srv', type: 'directory' }, ...lines]);
    rmSync(out, { recursive: true, force: true });
    return unseal(folder.key, 'run', folder.account, `${RUN}/`, out);
  };
  const good = Buffer.from('good');
  writeFileSync(place('srv/z good'), folder.sealer.sealSmall(good));

  const bomb = folder.sealer.sealSmall(Buffer.alloc(200 * 2 ** 20));
  t.ok(bomb.length < 20_000);
  writeFileSync(place('srv/bomb'), bomb);
  const hole = folder.sealer.strided(2 ** 50);
  const sparse = new StridedFile();
  sparse.write(hole.offset(0), hole.sealHole({ index: 0, isLast: true }, 2 ** 50));
  sparse.write(0, hole.header(2 ** 50));
  writeFileSync(place('srv/hole'), sparse.bytes);
  spawnSync('mkfifo', [place('srv/fifo')]);
  mkdirSync(place('srv/folder'));
  const said = restored(
    ...['bomb', 'fifo', 'folder', 'hole'].map((name) => fileLine(`srv/${name}`, good)),
    { ...fileLine('srv/name\u001b[2J\u0007', good), stored: { at: 'srv/nothing' } },
    fileLine('srv/z good', good),
  );
  t.match(said, /bomb: it does not decompress, or is longer than it should be\n/);
  t.match(said, /hole: it is longer than it should be\n/);
  t.match(said, /fifo: it is no file\n/);
  t.match(said, /folder: it is no file\n/);
  t.ok(said.includes('srv/name\\x1b[2J\\x07: '), 'no name reaches a terminal raw');
  t.equal(said.split('\n').length, 6, said);
  t.same(readdirSync(join(out, 'srv')), ['z good'], 'the rest is there');
  for (const name of ['', 'srv', 'srv/z good'])
    t.equal(statSync(join(out, name)).mode & 0o077, 0, 'for nobody but the owner');

  for (const line of [
    {},
    { path: 7, type: 'file' },
    { path: 'srv/x' },
    [],
    'x',
    { path: 'srv/x', type: 'file' },
  ])
    t.match(restored(line as object), /^unseal: it is not as the document says: \w+: [^\n]*\n$/);
  storeManifest(folder, [], { version: 2 });
  t.match(unseal(folder.key, 'manifest', folder.at(`account/${RUN}.impl`)), /no manifest of version 1/);
});

t.test('unseal.py does not spend the machine on a key file that asks for it', async (t) => {
  using folder = tempFolder();
  const { protectedKeyFile } = readVectors();
  for (const [n, r, p] of [
    [2 ** 30, 8, 1],
    [2 ** 14, 900, 1],
    [2 ** 14, 8, 99],
  ] as const) {
    const [body = ''] = protectedKeyFile
      .replace(/n=\d+ r=\d+ p=\d+/, `n=${n} r=${r} p=${p}`)
      .split('check: ');
    const check = createHash('sha256').update(body).digest('hex').slice(0, 16);
    writeFileSync(folder.at('greedy'), `${body}check: ${check}\n`);
    const script = `import sys; sys.path.insert(0, ${JSON.stringify(dirname(UNSEAL))}); sys.dont_write_bytecode = True
import unseal
try: unseal.read_key(open(${JSON.stringify(folder.at('greedy'))}).read(), lambda: "x")
except unseal.Refused as refused: print(refused)`;
    const { stdout } = spawnSync(PYTHON, ['-c', script], { encoding: 'utf8' });
    t.match(stdout, /asks for more memory or time than any that bakker makes/);
  }
});

t.test('unseal.py reads a key file from any editor, and tells a public key from a private one', (t) => {
  using folder = tempFolder();
  const { keyFile, paperKey } = readVectors();
  for (const [at, text] of [keyFile, paperKey].entries()) {
    writeFileSync(folder.at('dos'), `\ufeff${text.replaceAll('\n', '\r\n')}`);
    t.equal(unseal(folder.at('dos'), 'file', sealedFile('text'), folder.at(`by ${at}`)), '');
  }
  writeFileSync(folder.at('public'), formatPublicKey(publicKeyOf(generatePrivateKey())));
  t.match(
    unseal(folder.at('public'), 'file', sealedFile('text'), folder.at('none')),
    /^unseal: that is a public key, and the private one is needed\n$/,
  );
  t.end();
});

t.test('unseal.py names what the backup could not read, and restores the rest', (t) => {
  using folder = tempFolder();
  const { pathOf } = storeRun(folder, { 'srv/a.txt': Buffer.from('a\n') }, { isHidden: false });
  t.ok(existsSync(pathOf('srv/a.txt')));
  storeManifest(folder, [
    { path: 'srv', type: 'directory' },
    fileLine('srv/a.txt', Buffer.from('a\n')),
    { path: 'srv/closed', type: 'directory', unreadable: 'EACCES' },
    { path: 'srv/lost', type: 'file', size: 5, stored: 'manifest', unreadable: 'EIO\u001b[2J' },
  ]);
  t.equal(
    unseal(folder.key, 'run', folder.account, RUN, folder.at('out')),
    'unseal: srv/closed: the backup could not read it (EACCES)\nunseal: srv/lost: the backup could not read it (EIO\\x1b[2J)\n',
  );
  t.strictSame(readdirSync(folder.at('out/srv')).sort(), ['a.txt', 'closed']);
  t.end();
});

t.test('unseal.py ends with a sentence when it is interrupted', async (t) => {
  using folder = tempFolder();
  writeFileSync(folder.at('protected'), readVectors().protectedKeyFile);
  const script = `import os, signal, sys; sys.path.insert(0, ${JSON.stringify(dirname(UNSEAL))}); sys.dont_write_bytecode = True
import unseal
unseal.getpass.getpass = lambda prompt: os.kill(os.getpid(), signal.SIGINT)
unseal.main([${JSON.stringify(folder.at('protected'))}, "manifest", "none"])`;
  const { status, stderr } = spawnSync(PYTHON, ['-c', script], { encoding: 'utf8' });
  t.match({ status, stderr }, { status: 1, stderr: 'unseal: interrupted\n' });
});

t.test('unseal.py says in one sentence that nobody typed the passphrase', (t) => {
  using folder = tempFolder();
  writeFileSync(folder.at('protected'), readVectors().protectedKeyFile);
  const command = [PYTHON, UNSEAL, folder.at('protected'), 'manifest', folder.at('none')];
  // without a terminal, which it would ask
  const { status, stderr } = spawnSync('setsid', ['--wait', ...command], { encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, /unseal: the key is protected by a passphrase, and none was typed\n$/);
  t.notMatch(stderr, /Traceback/);
  t.end();
});

const RUN = '2024_04_18_01';

interface Folder extends Disposable {
  readonly path: string;
  readonly account: string;
  readonly key: string;
  readonly sealer: Sealer;
  at(name: string): string;
}

/** A folder with a key file and an account. */
function tempFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'bakker-unseal-'));
  const privateKey = generatePrivateKey();
  const at = (name: string): string => join(path, name);
  writeFileSync(at('private'), formatPrivateKey(privateKey));
  mkdirSync(at('account'));
  return {
    path,
    account: at('account'),
    key: at('private'),
    sealer: new Sealer([publicKeyOf(privateKey)]),
    at,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Stores a sealed run as the document describes it. */
function storeRun(
  folder: Folder,
  contents: Readonly<Record<string, Buffer>>,
  { isHidden }: { isHidden: boolean },
) {
  const nameKey = newNameKey();
  const hider = new NameHider(nameKey);
  const ids = new Map([
    ['', ROOT_DIRECTORY_ID],
    ['srv', newDirectoryId()],
    ['srv/deep', newDirectoryId()],
  ]);
  const hide = (path: string): string => {
    const parts = path.split('/');
    const idOf = (depth: number): Buffer => ids.get(parts.slice(0, depth).join('/')) ?? ROOT_DIRECTORY_ID;
    return parts.map((name, depth) => hider.hide(idOf(depth), Buffer.from(name))).join('/');
  };
  const pathOf = (path: string): string => join(folder.account, RUN, isHidden ? hide(path) : path);
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(dirname(pathOf(path)), { recursive: true });
    writeFileSync(pathOf(path), folder.sealer.sealSmall(content));
  }
  const nameId = (path: string): object => (isHidden ? { nameId: ids.get(path)?.toString('hex') } : {});
  const entries = [
    { path: 'srv', type: 'directory', ...nameId('srv') },
    { path: 'srv/deep', type: 'directory', ...nameId('srv/deep') },
    ...Object.entries(contents).map(([path, content]) => fileLine(path, content)),
    { path: 'srv/link', type: 'symlink', target: 'a.txt', stored: 'manifest' },
  ];
  const inOrder = entries.sort((a, b) => comparePaths(Buffer.from(a.path), Buffer.from(b.path)));
  const manifest = storeManifest(folder, inOrder, isHidden ? { nameKey: nameKey.toString('base64') } : {});
  return { manifest, pathOf };
}

function fileLine(path: string, content: Buffer) {
  return { path, type: 'file', size: content.length, sha256: hashOf(content) };
}

function storeManifest(folder: Folder, entries: readonly object[], more: object = {}): string {
  const lines = [{ bakker: 'impl', version: 1, run: RUN, ...more }, ...entries].map(
    (line) => `${JSON.stringify(line)}\n`,
  );
  const digest = hashOf(Buffer.from(lines.join('')));
  const text = `${lines.join('')}${JSON.stringify({ end: true, digest })}\n`;
  const stream = folder.sealer.sealManifest();
  writeFileSync(
    join(folder.account, `${RUN}.impl`),
    Buffer.concat([...stream.push(zstdCompressSync(text)), ...stream.finish()]),
  );
  return text;
}

/** What it said on standard error. */
function unseal(...words: readonly string[]): string {
  const { status, stderr } = spawnSync(PYTHON, [UNSEAL, ...words], { encoding: 'utf8' });
  if ((status === 0) !== (stderr === '')) throw new Error(`status ${status}: ${stderr}`);
  return stderr;
}

function unsealOut(...words: readonly string[]): string {
  return spawnSync(PYTHON, [UNSEAL, ...words], { encoding: 'utf8' }).stdout;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
