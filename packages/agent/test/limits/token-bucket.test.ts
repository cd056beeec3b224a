import fc from 'fast-check';
import t from 'tap';
import { TokenBucket } from '../../src/limits/token-bucket.ts';

const BURST_MS = 100;

t.test('whatever is taken when, no stretch of time sees more than the rate, a burst and a piece', (t) => {
  const takes = fc.array(fc.record({ idleMs: fc.nat(300), bytes: fc.integer({ min: 1, max: 50_000 }) }), {
    minLength: 1,
    maxLength: 60,
  });
  const bytesPerS = 100_000;
  fc.assert(
    fc.property(takes, (asked) => {
      let nowMs = 1000;
      const bucket = new TokenBucket({ bytesPerS, nowMs: () => nowMs });
      const sent: { atMs: number; bytes: number }[] = [];
      for (const { idleMs, bytes } of asked) {
        nowMs += idleMs;
        sent.push({ atMs: nowMs + bucket.take(bytes), bytes });
      }
      for (let from = 0; from < sent.length; from++) {
        let total = 0;
        for (let to = from; to < sent.length; to++) {
          const { bytes = 0, atMs = 0 } = sent[to] ?? {};
          total += bytes;
          const lastedMs = atMs - (sent[from]?.atMs ?? 0);
          if (total > ((lastedMs + BURST_MS) * bytesPerS) / 1000 + bytes + 1) return false;
        }
      }
      return true;
    }),
  );
  t.end();
});

t.test('what was not used for long is not saved up, and nothing waits without need', (t) => {
  let nowMs = 0;
  const bucket = new TokenBucket({ bytesPerS: 1000, nowMs: () => nowMs });
  t.equal(bucket.take(100), 0);
  t.equal(bucket.debtMs(), 0, 'a burst is free');
  t.equal(bucket.take(1000), 0, 'the piece that makes the debt goes');
  t.equal(bucket.debtMs(), 1000);
  t.equal(bucket.take(500), 1000);
  nowMs = 3_600_000;
  t.equal(bucket.debtMs(), 0);
  t.equal(bucket.take(1000), 0);
  t.equal(bucket.debtMs(), 900, 'an hour of silence buys one burst');
  t.end();
});
