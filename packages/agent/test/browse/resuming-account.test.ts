import type { RunName } from '@bakker/impl-format';
import { parseRunName } from '@bakker/impl-format';
import fc from 'fast-check';
import t from 'tap';
import { ResumingAccount } from '../../src/browse/resuming-account.ts';
import { AgentError } from '../../src/errors.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';

const RUN = ((): RunName => {
  const run = parseRunName('2024_04_19_01');
  if (run === undefined) throw new Error('no run');
  return run;
})();
const CONTENT = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
const PATH = Buffer.from('file');

/** Reads of an account whose line breaks after so many pieces. */
function lineOf(
  pieces: number,
  pieceBytes: number,
): Pick<StorageAccount, 'manifest' | 'readExtents' | 'readFile' | 'readFiles'> {
  let left = pieces;
  const alive = (): void => {
    if (left-- <= 0) throw new AgentError('CONNECTION_LOST', 'the line broke');
  };
  return {
    async *manifest() {
      for (let at = 0; at < CONTENT.length; at += pieceBytes) {
        alive();
        yield CONTENT.subarray(at, at + pieceBytes);
      }
    },
    async *readExtents(_run, _path, { extents }) {
      for (const { offsetBytes, lengthBytes } of extents) {
        for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += pieceBytes) {
          alive();
          yield {
            offsetBytes: at,
            bytes: CONTENT.subarray(at, Math.min(at + pieceBytes, offsetBytes + lengthBytes)),
          };
        }
      }
    },
    async readFile() {
      alive();
      return CONTENT;
    },
  };
}

/** What is read needs no more of an account than these. */
function resuming(
  lines: readonly ReturnType<typeof lineOf>[],
  afterMs: readonly number[] = [0, 0],
): {
  account: ResumingAccount;
  opened: () => number;
} {
  let opened = 0;
  const next = (): StorageAccount => {
    const line = lines[opened++];
    if (line === undefined) throw new AgentError('STORAGE_UNREACHABLE', 'nobody there');
    return line as StorageAccount;
  };
  const account = new ResumingAccount(next(), {
    reopen: async () => next(),
    onCut: () => undefined,
    signal: new AbortController().signal,
    afterMs,
  });
  return { account, opened: () => opened };
}

const cuts = fc.array(
  fc.record({ pieces: fc.integer({ min: 1, max: 9 }), pieceBytes: fc.integer({ min: 1, max: 300 }) }),
  {
    maxLength: 6,
  },
);
/** More than any line here breaks without getting further. */
const OFTEN = Array.from({ length: 10 }, () => 0);
const whole = { pieces: Number.POSITIVE_INFINITY, pieceBytes: 64 };

t.test('wherever the line breaks, what is read is whole, in order, and each byte once', async () => {
  const extents = [
    { offsetBytes: 10, lengthBytes: 300 },
    { offsetBytes: 310, lengthBytes: 5 },
    { offsetBytes: 700, lengthBytes: 300 },
  ];
  const wanted = { extents, sizeBytes: CONTENT.length };
  await fc.assert(
    fc.asyncProperty(cuts, async (broken) => {
      const lines = [...broken, whole].map(({ pieces, pieceBytes }) => lineOf(pieces, pieceBytes));
      const { account } = resuming(lines, OFTEN);
      const covered: [number, number][] = [];
      for await (const { offsetBytes, bytes } of account.readExtents(RUN, PATH, wanted)) {
        if (!CONTENT.subarray(offsetBytes, offsetBytes + bytes.length).equals(bytes)) return false;
        covered.push([offsetBytes, bytes.length]);
      }
      const inOrder = covered.every(
        ([at], index) => at >= (covered[index - 1]?.[0] ?? 0) + (covered[index - 1]?.[1] ?? 0),
      );
      return inOrder && covered.reduce((sum, [, length]) => sum + length, 0) === 605;
    }),
  );
  await fc.assert(
    fc.asyncProperty(cuts, async (broken) => {
      const lines = [...broken, whole].map(({ pieces, pieceBytes }) => lineOf(pieces, pieceBytes));
      const read: Buffer[] = [];
      for await (const piece of resuming(lines, OFTEN).account.manifest(RUN)) read.push(piece);
      return Buffer.concat(read).equals(CONTENT);
    }),
    {
      examples: [
        [
          [
            { pieces: 3, pieceBytes: 7 },
            { pieces: 2, pieceBytes: 100 },
          ],
        ],
      ],
    },
  );
});

t.test('all that were cut off share one new connection; a line that stays away ends them all', async (t) => {
  const { account, opened } = resuming([lineOf(5, 10), lineOf(100, 10)]);
  await account.readFile(RUN, PATH, 1000);
  const read = await Promise.all(Array.from({ length: 50 }, () => account.readFile(RUN, PATH, 1000)));
  t.equal(read.length, 50);
  t.equal(opened(), 2);
  const gone = resuming([lineOf(1, 10)]);
  await gone.account.readFile(RUN, PATH, 1000);
  const all = await Promise.allSettled(
    Array.from({ length: 5 }, () => gone.account.readFile(RUN, PATH, 1000)),
  );
  for (const outcome of all)
    t.match(outcome, { status: 'rejected', reason: { code: 'STORAGE_UNREACHABLE' } });
  t.equal(gone.opened(), 3, 'two attempts');
  const never = resuming([lineOf(0, 10), lineOf(10, 10)]);
  await t.rejects(never.account.readFile(RUN, PATH, 1000), { code: 'CONNECTION_LOST' });
  t.equal(never.opened(), 1, 'a line on which nothing ever came is not tried again');
});

t.test(
  'files that are read together are asked for anew together, also of a storage that no longer can',
  async (t) => {
    const files = [1, 2, 3].map((sizeBytes) => ({ path: PATH, sizeBytes }));
    const together = (pieces: number): ReturnType<typeof lineOf> => {
      const line = lineOf(pieces, 64);
      return {
        ...line,
        readFiles: async (run, wanted) => {
          const contents = await Promise.all(
            wanted.map(({ path, sizeBytes }) => line.readFile(run, path, sizeBytes)),
          );
          return contents.map((content, index) => (index === 1 ? new Error('this one not') : content));
        },
      };
    };
    const { account, opened } = resuming([together(4), together(2), lineOf(10, 64)], OFTEN);
    await account.readFile(RUN, PATH, 1);
    const first = await account.readFiles?.(RUN, files);
    t.match(first?.[1], new Error('this one not'));
    t.equal(first?.[2], CONTENT);
    const second = await account.readFiles?.(RUN, files);
    t.same(second, [CONTENT, CONTENT, CONTENT]);
    t.equal(opened(), 3);
    t.equal(resuming([lineOf(1, 1)]).account.readFiles, undefined);
  },
);
