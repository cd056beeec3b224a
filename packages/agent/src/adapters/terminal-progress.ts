import { escapeText, formatBytes, formatCount, formatCounted, formatDuration } from '@bakker/command-line';
import type { Progress } from '../ports/progress.ts';

const REDRAW_MS = 100;
const QUIET_LINE_MS = 30_000;
/** The rate is that of this long, so that it follows the line but does not flicker. */
const RATE_WINDOW_MS = 10_000;
const BAR_CELLS = 24;
const SHORT_BAR_CELLS = 10;
const USUAL_COLUMNS = 80;
const CLEAR_LINE = '\r\x1b[2K';

/** Standard error, as much as is needed of it. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Progress that can make way for other output; disposing takes the bar away for good. */
export interface VisibleProgress extends Progress, Disposable {
  /** Takes the bar away until the next redraw, before something else is written to the terminal. */
  clear(): void;
  /** Takes the bar away until what is returned is disposed of: a question stays readable while somebody types the answer. */
  hold(): Disposable;
}

/**
 * A bar on a terminal, redrawn at most ten times a second; elsewhere a line for each stage, and one each 30 s.
 *
 * @param options.isQuiet - only warnings
 */
export function openTerminalProgress(options: {
  stream: ProgressStream;
  isQuiet: boolean;
  nowMs: () => number;
}): VisibleProgress {
  return new TerminalProgress(options.stream, options.isQuiet, options.nowMs);
}

interface Sample {
  readonly atMs: number;
  readonly files: number;
  readonly bytes: number;
}

interface Rate {
  readonly filesPerS: number;
  readonly bytesPerS: number;
}

class TerminalProgress implements VisibleProgress {
  readonly #stream: ProgressStream;
  readonly #isQuiet: boolean;
  readonly #isTerminal: boolean;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #isShown = false;
  #holders = 0;
  #stage = '';
  #files = 0;
  #bytes = 0;
  #expectedFiles: number | undefined;
  #expectedBytes: number | undefined;
  #samples: Sample[] = [];

  constructor(stream: ProgressStream, isQuiet: boolean, nowMs: () => number) {
    this.#stream = stream;
    this.#isQuiet = isQuiet;
    this.#isTerminal = stream.isTTY === true;
    this.#nowMs = nowMs;
  }

  stage(text: string): void {
    this.#stage = escapeText(text);
    this.#files = 0;
    this.#bytes = 0;
    this.#expectedFiles = undefined;
    this.#expectedBytes = undefined;
    this.#samples = [];
    if (this.#isQuiet) return;
    this.#timer ??= setInterval(
      () => {
        this.#tick();
      },
      this.#isTerminal ? REDRAW_MS : QUIET_LINE_MS,
    ).unref();
    if (this.#isTerminal) this.#draw();
    else this.#stream.write(`${this.#stage}\n`);
  }

  expect(total: { files?: number; bytes?: number }): void {
    this.#expectedFiles = total.files ?? this.#expectedFiles;
    this.#expectedBytes = total.bytes ?? this.#expectedBytes;
  }

  advance(done: { files?: number; bytes?: number }): void {
    this.#files += done.files ?? 0;
    this.#bytes += done.bytes ?? 0;
  }

  message(text: string): void {
    if (!this.#isQuiet) this.#line(text);
  }

  warning(text: string): void {
    this.#line(`warning: ${text}`);
  }

  clear(): void {
    if (this.#isShown) this.#stream.write(CLEAR_LINE);
    this.#isShown = false;
  }

  hold(): Disposable {
    this.clear();
    this.#holders += 1;
    return {
      [Symbol.dispose]: () => {
        this.#holders -= 1;
      },
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.clear();
  }

  #line(text: string): void {
    this.clear();
    this.#stream.write(`${escapeText(text)}\n`);
  }

  #tick(): void {
    if (this.#isTerminal) this.#draw();
    else
      this.#stream.write(`${[this.#stage, ...this.#facts(this.#rate(), { hasTotals: true })].join(', ')}\n`);
  }

  #draw(): void {
    if (this.#holders > 0) return;
    // a serial line or a `docker exec` may have a terminal that does not know its size, and says 0
    const columns = this.#stream.columns || USUAL_COLUMNS;
    // The last column stays empty: some terminals wrap once it is written.
    const forms = this.#forms();
    const shown = forms.find((form) => displayWidth(form) < columns) ?? fit(forms.at(-1) ?? '', columns - 1);
    this.#stream.write(`${CLEAR_LINE}${shown}`);
    this.#isShown = true;
  }

  /** The line in full, and what is left of it on terminals that are too narrow: the rate and the time left go last. */
  #forms(): string[] {
    const rate = this.#rate();
    const facts = this.#facts(rate, { hasTotals: true });
    const share = this.#share();
    if (share === undefined) return [[this.#stage, ...facts].join('  ')];
    const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
    const done = this.#facts(rate, { hasTotals: false });
    return [
      [`${drawBar(share, BAR_CELLS)} ${percent}`, this.#stage, ...facts],
      [`${drawBar(share, BAR_CELLS)} ${percent}`, ...facts],
      [`${drawBar(share, SHORT_BAR_CELLS)} ${percent}`, ...done],
      [percent.trim(), ...done],
      [percent.trim(), ...done.slice(1)],
    ].map((parts) => parts.join('  '));
  }

  #facts({ filesPerS, bytesPerS }: Rate, { hasTotals }: { hasTotals: boolean }): string[] {
    const facts: string[] = [];
    // more than last time says nothing of how much is left
    if (hasTotals && this.#expectedFiles !== undefined && this.#files <= this.#expectedFiles) {
      facts.push(`${formatCount(this.#files)} of ${formatCounted(this.#expectedFiles, 'file')}`);
    } else if (this.#files > 0) facts.push(formatCounted(this.#files, 'file'));
    if (hasTotals && this.#expectedBytes !== undefined && this.#bytes <= this.#expectedBytes) {
      facts.push(`${formatBytes(this.#bytes)} of ${formatBytes(this.#expectedBytes)}`);
    } else if (this.#bytes > 0) facts.push(formatBytes(this.#bytes));
    if (bytesPerS > 0) facts.push(`${formatBytes(bytesPerS)}/s`);
    else if (filesPerS > 0) facts.push(`${formatCount(filesPerS)} files/s`);
    const left = longest(
      leftMs(this.#expectedBytes, this.#bytes, bytesPerS),
      leftMs(this.#expectedFiles, this.#files, filesPerS),
    );
    if (left !== undefined) facts.push(`${formatDuration(left)} left`);
    return facts;
  }

  /** How much is done, 0 to 1, by what lags behind more. */
  #share(): number | undefined {
    const shares: number[] = [];
    if (this.#expectedBytes) shares.push(this.#bytes / this.#expectedBytes);
    if (this.#expectedFiles) shares.push(this.#files / this.#expectedFiles);
    return shares.length === 0 ? undefined : Math.min(1, ...shares);
  }

  #rate(): Rate {
    const now: Sample = { atMs: this.#nowMs(), files: this.#files, bytes: this.#bytes };
    this.#samples.push(now);
    while ((this.#samples[1]?.atMs ?? Infinity) < now.atMs - RATE_WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0] ?? now;
    const seconds = (now.atMs - first.atMs) / 1000;
    if (seconds < 0.5) return { filesPerS: 0, bytesPerS: 0 };
    return { filesPerS: (now.files - first.files) / seconds, bytesPerS: (now.bytes - first.bytes) / seconds };
  }
}

function leftMs(expected: number | undefined, done: number, perS: number): number | undefined {
  if (expected === undefined || perS <= 0 || done >= expected) return undefined;
  return ((expected - done) / perS) * 1000;
}

function longest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}

function drawBar(share: number, cells: number): string {
  const full = Math.round(share * cells);
  return `[${'#'.repeat(full)}${'-'.repeat(cells - full)}]`;
}

function fit(text: string, width: number): string {
  let shown = '';
  let used = 0;
  for (const character of text) {
    used += displayWidth(character);
    if (used > width) break;
    shown += character;
  }
  return shown;
}

/** Cells on a terminal: East Asian characters and most pictures take two. Counts rather one too many than one too few. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += (character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
  return width;
}
