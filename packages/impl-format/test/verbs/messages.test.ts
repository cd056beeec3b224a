import t from 'tap';
import {
  encodeBeginReply,
  encodeBody,
  parseBeginReply,
  parseBeginRequest,
  parseEmptyRequest,
  parseHelloReply,
  parseHelloRequest,
  parseListReply,
  parseListRequest,
  parsePublishReply,
  parsePublishRequest,
  parseRunName,
  parseSpaceGrant,
  parseSpaceReply,
  parseSpaceRequest,
  parseUsageReply,
  parseUsageRequest,
} from '../../src/index.ts';

const run = parseRunName('2024_04_18_01')!;
const digest = 'ab'.repeat(32);
const frozen = { reason: 'most files changed', sinceRun: run };
const figures = {
  ...{ status: 'complete', startedAtMs: 1, finishedAtMs: 2, files: 3, sourceBytes: 4, addedBytes: 5 },
  manifestDigest: digest,
};
const objects = { files: 1, directories: 2, symlinks: 3, bytes: 4 };
const hello = {
  ...{ version: 1, program: 'bakker-storage 0.1.0', account: 'server1', role: 'backup', mayRead: true },
  ...{ identity: '3f', nowMs: 17, maxPathBytes: 4015, agentConfig: 'x: é', frozen: null },
};
const listed = { run, state: 'complete', manifestSizeBytes: 5, receipt: { any: 1 } };
const space = {
  ...{ totalBytes: 1, freeBytes: null, freeInodes: 2 },
  limitBytes: 3,
  usedBytes: 4,
  requestedBytes: null,
};

/** Parser, a body that it takes, and values for a key that it must refuse. */
const BODIES: readonly [(body: Buffer) => unknown, object, Record<string, readonly unknown[]>][] = [
  [
    parseHelloRequest,
    { versions: [1, 2], program: 'bakker 0.1.0' },
    { versions: [1, ['1'], [-1], [1.5], Array(65).fill(1)], program: [1, 'x'.repeat(257)] },
  ],
  [
    parseHelloReply,
    hello,
    {
      version: ['1', -1],
      role: ['root', null],
      mayRead: [0],
      nowMs: [null],
      agentConfig: [1],
      frozen: [1, {}, { reason: 'x' }, { ...frozen, sinceRun: 'x' }],
    },
  ],
  [parseListRequest, {}, { after: ['..', 1, null, '2024_04_18_1'], receipts: [1, null] }],
  [
    parseListReply,
    { runs: [listed], latest: run, more: false },
    {
      runs: [
        null,
        [1],
        [{ ...listed, run: '../x' }],
        [{ ...listed, state: 'x' }],
        [{ ...listed, receipt: [] }],
        [{ ...listed, more: 1 }],
        Array(501).fill(listed),
      ],
      latest: ['x', 1],
      more: [1],
    },
  ],
  [parseBeginRequest, { parent: run }, { parent: ['..', 1, '2024_02_30_01', 'latest'] }],
  [
    parsePublishRequest,
    { objects, manifestSha256: null, receipt: figures },
    {
      objects: [null, { ...objects, files: -1 }, { ...objects, bytes: '4' }, { ...objects, others: 0 }],
      manifestSha256: ['ab', digest.toUpperCase()],
      receipt: [
        null,
        { ...figures, status: 'fine' },
        { ...figures, token: 'x' },
        { ...figures, frozen: 1 },
        { ...figures, frozen: 'x'.repeat(4097) },
      ],
    },
  ],
  [parsePublishRequest, { objects, manifestSha256: digest, receipt: { ...figures, frozen: 'why' } }, {}],
  [
    parsePublishReply,
    { run, receivedAtMs: 1, manifestSha256: digest, manifestSizeBytes: 2, frozen },
    { run: ['x'], receivedAtMs: ['1'], manifestSha256: [null] },
  ],
  [parseSpaceReply, space, { totalBytes: ['1', -1], freeBytes: [true] }],
  [parseUsageRequest, { runs: [run] }, { runs: [run, ['x'], [run, run], Array(10_001).fill(run)] }],
  [
    parseUsageReply,
    { runs: [{ run, freesBytes: 1 }], together: 1 },
    { runs: [[{ run }], [run]], together: [null] },
  ],
  [parseSpaceRequest, { bytes: 5 }, { bytes: [-1, '5', 2 ** 53, null] }],
  [parseSpaceGrant, { grantedBytes: 5, limitBytes: null }, { grantedBytes: [null], limitBytes: ['x'] }],
];

for (const [parse, body, wrong] of BODIES) {
  t.test(`${parse.name} takes what is documented and nothing else`, (t) => {
    t.strictSame(parse(encodeBody(body)), body);
    t.throws(() => parse(encodeBody({ ...body, more_: 1 })), { code: 'MALFORMED' });
    for (const [key, values] of Object.entries(wrong)) {
      for (const value of values) {
        t.throws(
          () => parse(encodeBody({ ...body, [key]: value })),
          { code: 'MALFORMED' },
          `${key} ${JSON.stringify(value).slice(0, 60)}`,
        );
      }
    }
    for (const key of Object.keys(body)) {
      t.throws(
        () => parse(encodeBody({ ...body, [key]: undefined })),
        { code: 'MALFORMED' },
        `without ${key}`,
      );
    }
    for (const bytes of ['', '[]', 'null', '{', '1', '"x"'])
      t.throws(() => parse(Buffer.from(bytes)), { code: 'MALFORMED' });
    t.throws(() => parse(Buffer.from([0x7b, 0xff, 0x7d])), { code: 'MALFORMED' });
    t.end();
  });
}

t.test('paths of any bytes come through in the answer to begin', (t) => {
  const token = '0123456789abcdef'.repeat(2);
  const reply = {
    ...{ run, token, carried: [token], parent: { run, manifestSha256: digest } },
    hurt: [
      { run, path: Buffer.from([0x61, 0x2f, 0xff]) },
      { run, path: Buffer.from('etc/é') },
    ],
  };
  t.strictSame(parseBeginReply(encodeBeginReply(reply)), reply);
  t.strictSame(parseBeginReply(encodeBeginReply({ ...reply, parent: null })).parent, null);
  t.throws(() => parseBeginReply(encodeBeginReply({ ...reply, token: '..' })), { code: 'MALFORMED' });
  t.throws(() => parseBeginReply(encodeBeginReply({ ...reply, carried: ['x'] })), { code: 'MALFORMED' });
  const outside = { ...reply, hurt: [{ run, path: Buffer.from('../x') }] };
  t.throws(() => parseBeginReply(encodeBeginReply(outside)), { code: 'HOSTILE' });
  parseEmptyRequest(Buffer.from('{}'));
  t.throws(() => parseEmptyRequest(Buffer.from('{"a":1}')), { code: 'MALFORMED' });
  t.end();
});
