import { MANIFEST_PIECE, VERB } from '@bakker/impl-format';
import { EXTENSION, PACKET } from '@bakker/sftp';
import { string, u16, u32, u64, u8 } from './raw-sftp.ts';

/** What requests are aimed at. */
export interface Aim {
  readonly paths: readonly Buffer[];
  readonly handles: readonly Buffer[];
  readonly runs: readonly string[];
  /** Of unfinished runs, the session's own among them. */
  readonly tokens: readonly string[];
}

export interface HostileRequest {
  /** Name of the row that it comes from. */
  readonly name: string;
  /** Which of the row's requests it is. */
  readonly what: string;
  readonly type: number;
  readonly fields: readonly Buffer[];
}

/** Reads at most, so it may be served. All else has to be refused, whatever it is aimed at. */
export const READING: ReadonlySet<string> = new Set([
  ...['CLOSE', 'READ', 'LSTAT', 'FSTAT', 'OPENDIR', 'READDIR', 'REALPATH', 'STAT', 'READLINK', 'OPEN-READ'],
  ...['STATVFS', 'FSTATVFS', 'LIMITS'],
]);
/** Served only on the new files of the session itself. */
export const ON_OWN_FILES: ReadonlySet<string> = new Set(['WRITE', 'FSYNC', 'FSETSTAT']);

type Fields = readonly [what: string, ...fields: Buffer[]];
type Row = (aim: Aim) => Iterable<Fields>;
type ReplyPacket = 'VERSION' | 'STATUS' | 'HANDLE' | 'DATA' | 'NAME' | 'ATTRS' | 'EXTENDED_REPLY';

const OPEN_FLAGS = 64;
const BIG = 2n ** 64n - 1n;

/** Every packet that a client may send: the type has a row for each, so none can be left out. */
export const PLAIN: Record<Exclude<keyof typeof PACKET, ReplyPacket | 'INIT' | 'EXTENDED'>, Row> = {
  *OPEN({ paths }) {
    for (let flags = 0; flags < OPEN_FLAGS; flags++) {
      for (const path of paths) {
        for (const [what, attributes] of SOME_ATTRIBUTES) {
          yield [`${flags} ${shown(path)} ${what}`, string(path), u32(flags), attributes];
        }
      }
    }
  },
  CLOSE: ({ handles }) => onHandles(handles),
  *READ({ handles }) {
    for (const [what, handle] of onHandles(handles)) {
      yield [what, handle, u64(0), u32(100)];
      yield [`${what} far`, handle, u64(BIG), u32(0xffff_ffff)];
    }
  },
  *WRITE({ handles }) {
    for (const [what, handle] of onHandles(handles)) {
      yield [what, handle, u64(0), string('overwritten')];
      yield [`${what} far`, handle, u64(2n ** 40n), string('overwritten')];
    }
  },
  LSTAT: ({ paths }) => onPaths(paths),
  FSTAT: ({ handles }) => onHandles(handles),
  SETSTAT: ({ paths }) => withAttributes(onPaths(paths)),
  FSETSTAT: ({ handles }) => withAttributes(onHandles(handles)),
  OPENDIR: ({ paths }) => onPaths(paths),
  READDIR: ({ handles }) => onHandles(handles),
  REMOVE: ({ paths }) => onPaths(paths),
  MKDIR: ({ paths }) => withAttributes(onPaths(paths)),
  RMDIR: ({ paths }) => onPaths(paths),
  REALPATH: ({ paths }) => onPaths(paths),
  STAT: ({ paths }) => onPaths(paths),
  RENAME: ({ paths }) => onPairs(paths),
  READLINK: ({ paths }) => onPaths(paths),
  SYMLINK: ({ paths }) => onPairs(paths),
};

/** Every extension that the codec knows. */
export const EXTENSIONS: Record<keyof typeof EXTENSION, Row> = {
  POSIX_RENAME: ({ paths }) => onPairs(paths),
  STATVFS: ({ paths }) => onPaths(paths),
  FSTATVFS: ({ handles }) => onHandles(handles),
  HARDLINK: ({ paths }) => onPairs(paths),
  FSYNC: ({ handles }) => onHandles(handles),
  LSETSTAT: ({ paths }) => withAttributes(onPaths(paths)),
  LIMITS: () => [['']],
  *COPY_DATA({ handles }) {
    for (const [what, from] of onHandles(handles)) {
      for (const [to, target] of onHandles(handles))
        yield [`${what} to ${to}`, from, u64(0), u64(0), target, u64(0)];
    }
  },
};

/** What OpenSSH and others serve besides, and what they never did. */
export const OTHER_EXTENSIONS = [
  ...['expand-path@openssh.com', 'home-directory', 'users-groups-by-id@openssh.com', 'check-file'],
  ...['check-file-handle', 'check-file-name', 'copy-file', 'md5-hash', 'space-available', 'text-seek'],
  ...['vendor-id', 'newline@vandyke.com', 'supported', 'supported2', 'fstatvfs@openssh.com\0', 'hello'],
  ...['HELLO@bakker', 'put@bakker ', 'sh@bakker', '__proto__', 'constructor', '', 'x'.repeat(1000)],
];

/** Every verb, with what is wrong, or reaches for what is not the client's. */
export const VERBS: Record<keyof typeof VERB, Row> = {
  hello: () => json([{}, { versions: [] }, { versions: ['1'], program: 'x' }, { versions: [1], program: 1 }]),
  list: ({ paths }) => json([{ after: 7 }, { receipts: 'all' }, ...texts(paths, (after) => ({ after }))]),
  begin: ({ paths }) => json([{}, { parent: 1 }, { parent: {} }, ...texts(paths, (parent) => ({ parent }))]),
  *tree(aim) {
    for (const [what, operation] of operations(aim)) {
      yield [what, u8(0), operation];
      yield [`${what}, cut off`, u8(0), operation.subarray(0, -1)];
    }
    for (let packing = 2; packing < 256; packing += 50) yield [`packing ${packing}`, u8(packing), u8(2)];
    yield ['nothing at all'];
    yield ['no zstd', u8(1), Buffer.from('no zstd')];
  },
  *put({ paths }) {
    for (const path of paths) {
      yield [shown(path), string(path), u64(0), u8(0), string('planted')];
      yield [`${shown(path)} executable`, string(path), u64(BIG), u8(1), string('')];
      yield [`${shown(path)} of flags`, string(path), u64(0), u8(255), string('planted')];
      yield [`${shown(path)} cut off`, string(path), u64(0), u8(0), u32(1000)];
    }
  },
  *create({ paths }) {
    for (const path of paths) {
      yield [`${shown(path)} of flags`, string(path), u8(254), u64(0)];
      yield [`${shown(path)} for ever`, string(path), u8(0), u64(BIG)];
    }
  },
  *cloneFile({ paths, runs, tokens }) {
    for (const path of paths) {
      const name = path.toString('latin1').replace(/^\/+/, '');
      for (const folder of ['', ...runs, ...tokens]) {
        const source = string(`${folder}/${name}`);
        yield [`${folder}/${shown(path)}`, source, string('cloned'), u64(BIG)];
        yield [`${folder}/${shown(path)} cut off`, source, string('cloned')];
      }
      yield [`${shown(path)} as it is`, string(path), string('cloned'), u64(BIG)];
      for (const run of runs) {
        yield [`to ${shown(path)}`, string(`${run}/folder/file`), string(path), u64(3)];
        yield [`far beyond, to ${shown(path)}`, string(`${run}/folder/file`), string(path), u64(2n ** 62n)];
      }
    }
  },
  *hole({ handles }) {
    for (const [what, handle] of onHandles(handles)) {
      yield [what, handle, u64(0), u64(100)];
      yield [`${what} far`, handle, u64(2n ** 52n), u64(2n ** 52n)];
      yield [`${what} for ever`, handle, u64(1), u64(BIG)];
      yield [`${what} cut off`, handle, u64(1)];
    }
  },
  restart: ({ handles }) => onHandles(handles),
  discard: ({ handles }) => onHandles(handles),
  *finish({ handles }) {
    for (const [what, handle] of onHandles(handles)) {
      yield [what, handle, u64(5), u64(0), u8(0)];
      yield [`${what} too large`, handle, u64(BIG), u64(BIG), u8(3)];
      yield [`${what} of flags`, handle, u64(0), u64(0), u8(128)];
    }
  },
  *manifest({ runs, paths }) {
    const moved = (path: Buffer): Buffer =>
      Buffer.concat([u8(0), u8(4), field(path), field(Buffer.from('folder/file'))]);
    for (let kind = 0; kind < 256; kind += 3) yield [`kind ${kind}`, u8(kind), Buffer.from('bytes')];
    yield ['no end of keep', u8(MANIFEST_PIECE.DELTA | 0x80), u8(0), u8(2), u32(0xffff_ffff)];
    yield ['no end of drop', u8(MANIFEST_PIECE.DELTA | 0x80), u8(0), u8(3), u32(0xffff_ffff)];
    yield ['lines cut off', u8(MANIFEST_PIECE.DELTA | 0x80), u8(0), u8(1), u32(0xffff_ffff)];
    for (const path of [...paths, ...runs.map((run) => Buffer.from(run))]) {
      yield [`moved to ${shown(path)}`, u8(MANIFEST_PIECE.DELTA | 0x80), moved(path)];
    }
  },
  publish: ({ runs }) =>
    json([
      {},
      { objects: {}, manifestSha256: null, receipt: {} },
      ...[...runs, '../../x'].map((run) => ({
        objects: { files: 0, directories: 0, symlinks: 0, bytes: 0 },
        manifestSha256: '00'.repeat(32),
        receipt: { ...FIGURES, run, path: run },
        run,
      })),
      {
        objects: { files: -1, directories: 1e300, symlinks: 0.5, bytes: '0' },
        manifestSha256: '../../x',
        receipt: FIGURES,
      },
      {
        objects: { files: 1e15, directories: 0, symlinks: 0, bytes: 0 },
        manifestSha256: '00'.repeat(32),
        receipt: { ...FIGURES, frozen: 'x'.repeat(100_000) },
      },
    ]),
  abandon: ({ runs }) => json([{ run: runs[0] }, [], 'x']),
  cleanUp: ({ tokens, runs }) => json([{ carried: tokens }, { run: runs[0] }, []]),
  *get({ paths }) {
    for (const path of paths) yield [shown(path), string(path), u32(0xffff_ffff)];
  },
  *getMany({ paths }) {
    for (const path of paths) {
      yield [shown(path), string(path), u32(0xffff_ffff)];
      yield [`${shown(path)} cut off`, string(path), u32(10), string(path)];
    }
    yield ['very many', ...Array.from({ length: 2000 }, () => [string('a/b'), u32(0xffff_ffff)]).flat()];
  },
  space: () => json([{ path: '/' }, []]),
  verdicts: ({ paths }) => json([{ after: 7 }, { receipts: true }, ...texts(paths, (after) => ({ after }))]),
  usage: ({ paths }) => json([{}, { runs: 'all' }, ...texts(paths, (run) => ({ runs: [run] }))]),
  requestSpace: () => json([{}, { bytes: -1 }, { bytes: 1e300 }, { bytes: '10G' }]),
};

/** Each request of standard SFTP, and of the extensions, once for each thing it can be aimed at. */
export function* plainRequests(aim: Aim): Generator<HostileRequest> {
  // Handles last of all: who closes one can't ask it anything more.
  for (const [name, row] of Object.entries(PLAIN)) {
    if (name !== 'CLOSE') yield* rowOf(name, row(aim), codeOf(name));
  }
  for (const [name, row] of Object.entries(EXTENSIONS)) yield* extensionOf(name, row(aim), wireName(name));
  for (const name of OTHER_EXTENSIONS) {
    yield* extensionOf('OTHER', [[`${name.slice(0, 30)}`, string(aim.paths[0] ?? 'x'), u32(0)]], name);
  }
  yield* rowOf('CLOSE', PLAIN.CLOSE(aim), PACKET.CLOSE);
}

/** Types that are no request, with a body that fits many. */
export function* unknownTypes(aim: Aim): Generator<HostileRequest> {
  const known = new Set<number>([...Object.values(PACKET).filter((type) => type < 100), PACKET.EXTENDED]);
  for (let type = 2; type < 256; type++) {
    if (known.has(type) && type !== PACKET.VERSION) continue;
    const path = string(aim.paths[0] ?? 'x');
    yield { name: 'OTHER', what: `type ${type}`, type, fields: [path, path, u32(0)] };
  }
}

/** Each verb with each of its bodies. */
export function* verbRequests(aim: Aim): Generator<HostileRequest> {
  for (const [name, row] of Object.entries(VERBS)) {
    yield* extensionOf(name, row(aim), Object.entries(VERB).find(([key]) => key === name)?.[1] ?? name);
  }
}

const FIGURES = {
  status: 'complete',
  startedAtMs: 1,
  finishedAtMs: 2,
  files: 1,
  sourceBytes: 1,
  addedBytes: 1,
  manifestDigest: 'ab'.repeat(32),
};

/** All combinations of what an ATTRS can say, and an extended one. */
const ALL_ATTRIBUTES: readonly (readonly [string, Buffer])[] = Array.from({ length: 32 }, (_, bits) => {
  const has = (bit: number): boolean => (bits & bit) !== 0;
  return [
    `attributes ${bits}`,
    Buffer.concat([
      u32(((bits & 15) | (has(16) ? 0x8000_0000 : 0)) >>> 0),
      ...(has(1) ? [u64(0)] : []),
      ...(has(2) ? [u32(0), u32(0)] : []),
      ...(has(4) ? [u32(0o104777)] : []),
      ...(has(8) ? [u32(1), u32(1)] : []),
      ...(has(16) ? [u32(1), string('user.bakker.sha256'), string('forged')] : []),
    ]),
  ] as const;
});
const SOME_ATTRIBUTES = [0, 4, 15].map((bits) => ALL_ATTRIBUTES[bits]!);

function* rowOf(name: string, rows: Iterable<Fields>, type: number): Generator<HostileRequest> {
  for (const [what, ...fields] of rows) {
    const isReading = name === 'OPEN' && what.startsWith('1 ');
    yield { name: isReading ? 'OPEN-READ' : name, what, type, fields };
  }
}

function* extensionOf(name: string, rows: Iterable<Fields>, wire: string): Generator<HostileRequest> {
  for (const [what, ...fields] of rows) {
    yield { name, what, type: PACKET.EXTENDED, fields: [string(wire), ...fields] };
  }
}

function codeOf(name: string): number {
  const found = Object.entries(PACKET).find(([key]) => key === name);
  if (found === undefined) throw new Error(`no packet ${name}`);
  return found[1];
}

function wireName(name: string): string {
  return Object.entries(EXTENSION).find(([key]) => key === name)?.[1] ?? name;
}

function* onPaths(paths: readonly Buffer[]): Generator<Fields> {
  for (const path of paths) yield [shown(path), string(path)];
}

function* onHandles(handles: readonly Buffer[]): Generator<[string, Buffer]> {
  for (const [index, handle] of handles.entries()) yield [`handle ${index}`, string(handle)];
}

function* onPairs(paths: readonly Buffer[]): Generator<Fields> {
  const ends = paths.slice(0, 8);
  for (const path of paths) {
    for (const end of ends) {
      yield [`${shown(path)} to ${shown(end)}`, string(path), string(end)];
      yield [`${shown(end)} to ${shown(path)}`, string(end), string(path)];
    }
  }
}

function* withAttributes(rows: Iterable<Fields>): Generator<Fields> {
  for (const [what, ...fields] of rows) {
    for (const [attributes, bytes] of ALL_ATTRIBUTES) yield [`${what} ${attributes}`, ...fields, bytes];
  }
}

function* json(values: readonly unknown[]): Generator<Fields> {
  yield ['no body'];
  yield ['a length beyond the end', u32(0xffff_ffff)];
  yield ['no JSON', string('{"')];
  yield ['no UTF-8', string(Buffer.of(0x7b, 0xff, 0x7d))];
  yield ['a prototype', string('{"__proto__":{"parent":null,"runs":[],"bytes":1},"constructor":1}')];
  yield ['far too deep', string('['.repeat(100_000))];
  for (const value of values) {
    const text = JSON.stringify(value);
    yield [text.slice(0, 60), string(text)];
    yield [`${text.slice(0, 60)} and more`, string(text), u8(0)];
  }
}

function texts<Value>(paths: readonly Buffer[], value: (text: string) => Value): Value[] {
  return paths.map((path) => value(path.toString('latin1')));
}

function* operations({ paths, runs, tokens }: Aim): Generator<readonly [string, Buffer]> {
  const inside = Buffer.from('linked');
  const file = Buffer.from('folder/file');
  for (const path of paths) {
    for (const code of [1, 3, 5]) yield [`${code} ${shown(path)}`, Buffer.concat([u8(code), field(path)])];
    yield [`link to ${shown(path)}`, link(path, '', file)];
    yield [`symlink ${shown(path)}`, Buffer.concat([u8(6), field(path), field(Buffer.from('/etc'))])];
    for (const folder of [...runs, ...tokens]) {
      yield [`link ${shown(path)} of ${folder}`, link(inside, folder, path)];
    }
    // Whatever is not the name of a folder that may be linked from.
    yield [`link of ${shown(path)}`, link(inside, path.toString('latin1'), file)];
  }
  for (const code of [0, 7, 128, 255]) yield [`operation ${code}`, Buffer.concat([u8(code), field(inside)])];
  yield ['shares what is not there', Buffer.concat([u8(5), u16(100), u16(1), Buffer.from('x')])];
  yield ['a path longer than all', Buffer.concat([u8(5), u16(0), u16(65_535), Buffer.alloc(65_535, 'x')])];
  // Both halves harmless, together a way out.
  yield [
    'a way out in two halves',
    Buffer.concat([u8(5), field(Buffer.from('a/.')), u8(5), u16(3), u16(5), Buffer.from('./etc')]),
  ];
  yield [
    'a way out after a shared slash',
    Buffer.concat([u8(5), field(Buffer.from('a/b')), u8(5), u16(2), u16(7), Buffer.from('../../x')]),
  ];
}

function link(path: Buffer, folder: string, from: Buffer): Buffer {
  return Buffer.concat([u8(4), field(path), field(Buffer.from(folder, 'latin1')), field(from)]);
}

function field(value: Buffer): Buffer {
  return Buffer.concat([u16(0), u16(Math.min(value.length, 65_535)), value.subarray(0, 65_535)]);
}

function shown(path: Buffer): string {
  const text = JSON.stringify(path.toString('latin1'));
  return text.length <= 60 ? text : `${text.slice(0, 40)}… (${path.length})`;
}
