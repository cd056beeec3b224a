import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { openTerminalProgress } from '../../src/adapters/terminal-progress.ts';
import type { VisibleProgress } from '../../src/adapters/terminal-progress.ts';

interface Watched {
  readonly progress: VisibleProgress;
  readonly written: string[];
  readonly time: { ms: number };
}

function watch(options: { isTTY: boolean; columns?: number; isQuiet?: boolean }): Watched {
  const written: string[] = [];
  const time = { ms: 0 };
  const stream = { ...options, write: (text: string) => written.push(text) };
  const progress = openTerminalProgress({ stream, isQuiet: options.isQuiet ?? false, nowMs: () => time.ms });
  return { progress, written, time };
}

/** What a terminal of one line shows after all that was written: the text since the line was last cleared. */
function shown(written: readonly string[]): string {
  return written.join('').split('\r\x1b[2K').at(-1) ?? '';
}

t.test('a terminal shows a bar with files, bytes, rate and time left', async (t) => {
  const { progress, written, time } = watch({ isTTY: true, columns: 120 });
  progress.stage('sending');
  progress.expect({ files: 10_000, bytes: 4_000_000_000 });
  time.ms = 10_000;
  progress.advance({ files: 2500, bytes: 1_000_000_000 });
  while (!shown(written).includes('25 %')) await delay(20);
  t.equal(
    shown(written),
    '[######------------------]  25 %  sending  2,500 of 10,000 files  1.0 GB of 4.0 GB  100 MB/s  30 s left',
  );
  progress[Symbol.dispose]();
  t.equal(shown(written), '', 'the bar is gone at the end');
});

t.test('the bar stays away while somebody is asked', async (t) => {
  const { progress, written } = watch({ isTTY: true });
  progress.stage('reading');
  {
    using _held = progress.hold();
    t.equal(shown(written), '');
    written.push('Passphrase: ');
    progress.stage('sending');
    await delay(300);
    t.equal(shown(written), 'Passphrase: ');
  }
  while (shown(written) !== 'sending') await delay(20);
  progress[Symbol.dispose]();
});

t.test('a terminal of 80 columns shows a short bar, and the time left to its last letter', async (t) => {
  const { progress, written, time } = watch({ isTTY: true, columns: 80 });
  progress.stage('restoring 2024_04_18_01');
  progress.expect({ files: 2_345_678, bytes: 400_000_000_000 });
  time.ms = 10_000;
  progress.advance({ files: 1_234_567, bytes: 100_000_000_000 });
  while (!shown(written).includes('25 %')) await delay(20);
  t.equal(shown(written), '[###-------]  25 %  1,234,567 files  100 GB  10.0 GB/s  30 s left');
  progress[Symbol.dispose]();
});

t.test('the bar never reaches the last column, whatever the width and the letters', (t) => {
  for (let columns = 2; columns < 130; columns += 3) {
    const { progress, written, time } = watch({ isTTY: true, columns });
    progress.stage('日本語 comparing with 2024_04_18_01');
    progress.expect({ files: 123_456_789, bytes: 4e15 });
    time.ms = 5000;
    progress.advance({ files: 1_000_000, bytes: 4e12 });
    progress.message('redraw');
    progress.stage('送信中 sending a long stage text that does not fit anywhere on a small terminal');
    const width = [...shown(written)].reduce(
      (sum, letter) => sum + (letter.charCodeAt(0) > 0x1100 ? 2 : 1),
      0,
    );
    t.ok(width < columns, `${width} of ${columns}`);
    progress[Symbol.dispose]();
  }
  t.end();
});

t.test('a terminal that does not know its size is taken for one of 80 columns', (t) => {
  const { progress, written } = watch({ isTTY: true, columns: 0 });
  progress.stage('sending');
  t.equal(shown(written), 'sending');
  progress[Symbol.dispose]();
  t.end();
});

t.test('messages take the bar away first, and names in them are harmless', (t) => {
  const { progress, written } = watch({ isTTY: true, columns: 80 });
  progress.stage('sending');
  progress.warning('a\x1b[2J can not be read');
  t.strictSame(written, ['\r\x1b[2Ksending', '\r\x1b[2K', 'warning: a\\x1b[2J can not be read\n']);
  progress[Symbol.dispose]();
  t.equal(written.length, 3, 'nothing is left to take away');
  t.end();
});

t.test('without a terminal there is a line for each stage and nothing between', (t) => {
  const { progress, written } = watch({ isTTY: false });
  progress.stage('connecting');
  progress.expect({ files: 5 });
  progress.advance({ files: 5, bytes: 100 });
  progress.message('hello');
  progress.stage('publishing');
  progress[Symbol.dispose]();
  t.strictSame(written, ['connecting\n', 'hello\n', 'publishing\n']);
  t.end();
});

t.test('quiet means warnings only', (t) => {
  for (const isTTY of [true, false]) {
    const { progress, written } = watch({ isTTY, isQuiet: true });
    progress.stage('connecting');
    progress.message('hello');
    progress.warning('careful');
    progress[Symbol.dispose]();
    t.strictSame(written, ['warning: careful\n']);
  }
  t.end();
});
