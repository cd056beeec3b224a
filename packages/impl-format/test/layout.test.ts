import t from 'tap';
import {
  classifyName,
  diffName,
  incompleteName,
  LATEST,
  manifestName,
  nextRunName,
  PRIVATE_FOLDER,
  receiptName,
  type RunName,
} from '../src/index.ts';

const RUN: RunName = nextRunName([], Date.UTC(2024, 3, 18));

t.test('what is named is recognised', async (t) => {
  t.strictSame(classifyName(Buffer.from(RUN)), { kind: 'run', run: RUN });
  t.strictSame(classifyName(Buffer.from(manifestName(RUN))), { kind: 'manifest', run: RUN });
  t.strictSame(classifyName(Buffer.from(incompleteName(RUN))), { kind: 'incomplete', run: RUN });
  t.strictSame(classifyName(Buffer.from(diffName(RUN))), { kind: 'diff', run: RUN });
  t.strictSame(classifyName(Buffer.from(LATEST)), { kind: 'latest' });
  t.strictSame(classifyName(Buffer.from(PRIVATE_FOLDER)), { kind: 'private' });
});

t.test('the names are those of the design', async (t) => {
  t.equal(manifestName(RUN), '2024_04_18_01.impl');
  t.equal(incompleteName(RUN), '2024_04_18_01.incomplete');
  t.equal(diffName(RUN), '2024_04_18_01.diff');
  t.equal(receiptName(RUN), '.bakker/receipts/2024_04_18_01.json');
});

t.test('everything else is foreign', async (t) => {
  const foreign = [
    '',
    'latest.new',
    '.bakker2',
    '2024_04_18_01.impl.new',
    '2024_04_18_01.IMPL',
    '2024_04_18_01.incomplete.impl',
    '2024_04_31_01',
    '.impl',
    '2024_04_18_01\n',
    'x'.repeat(5000),
  ];
  for (const name of foreign)
    t.strictSame(classifyName(Buffer.from(name)), { kind: 'foreign' }, name.slice(0, 40));
  const highBits = Buffer.from(RUN).map((byte) => byte | 0x80);
  t.strictSame(classifyName(Buffer.from(highBits)), { kind: 'foreign' }, 'bytes that are no ASCII');
});
