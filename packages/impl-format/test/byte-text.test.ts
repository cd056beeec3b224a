import fc from 'fast-check';
import { isUtf8 } from 'node:buffer';
import t from 'tap';
import { decodeByteText, encodeByteText, toByteText } from '../src/index.ts';

t.test('any bytes come back, and are text whenever they can be', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, (value) => {
      const parsed: unknown = JSON.parse(encodeByteText(value));
      if (isUtf8(value) !== (typeof parsed === 'string')) return false;
      return (
        decodeByteText(parsed).equals(value) && JSON.stringify(toByteText(value)) === encodeByteText(value)
      );
    }),
    { numRuns: 2000 },
  );
});

t.test('each value has one form', async (t) => {
  t.equal(encodeByteText(Buffer.from('plain')), '"plain"');
  t.equal(encodeByteText(Buffer.from('"\\\n\u0001é\u2028')), '"\\"\\\\\\n\\u0001é\u2028"');
  t.equal(encodeByteText(Buffer.from([0xff, 0x41])), '{"b64":"/0E="}');
  t.equal(
    encodeByteText(Buffer.from([0xed, 0xa0, 0x80])),
    '{"b64":"7aCA"}',
    'a surrogate as bytes is no UTF-8',
  );
});

t.test('other forms are refused', async (t) => {
  const wrong: readonly (readonly [value: unknown, message: string])[] = [
    ['\ud800', 'text has a lone surrogate'],
    ['a\udc00b', 'text has a lone surrogate'],
    [{ b64: 'YQ==' }, 'b64 where text would do'],
    [{ b64: '' }, 'b64 where text would do'],
    [{ b64: '/w' }, 'base64 is not in its one form'],
    [{ b64: '/x==' }, 'base64 is not in its one form'],
    [{ b64: '_w==' }, 'base64 is not in its one form'],
    [{ b64: ' /w==' }, 'base64 is not in its one form'],
    [{ b64: 7 }, 'expected base64'],
    [{ b64: '/w==', more: 1 }, 'expected text or {"b64":…}'],
    [{}, 'expected text or {"b64":…}'],
    [null, 'expected text or {"b64":…}'],
    [7, 'expected text or {"b64":…}'],
    [['/w=='], 'expected text or {"b64":…}'],
  ];
  for (const [value, message] of wrong) {
    t.throws(() => decodeByteText(value), { code: 'MALFORMED', message }, JSON.stringify(value));
  }
});
