import { median } from './measure.ts';
import { SHELL } from './tools.ts';

export type Row =
  | 'first run'
  | 'nothing changed'
  | '1 % changed'
  | '10 % renamed'
  | 'full restore'
  | 'large files, first run';

/** Wall time of bakker to that of the quicker peer. */
const TARGETS: Readonly<Record<Row, number>> = {
  'first run': 0.9,
  'nothing changed': 0.6,
  '1 % changed': 0.7,
  '10 % renamed': 0.7,
  'full restore': 1.0,
  'large files, first run': 0.9,
};
/** The same over the storage's shell, where it has one of its own. */
const SHELL_TARGETS: Partial<Readonly<Record<Row, number>>> = { 'nothing changed': 0.4 };
const MOST_WIRE_BYTES: Readonly<Record<string, number>> = { bakker: 5_000_000, [SHELL]: 200_000 };
const MOST_TO_LINKS = 1.3;
const MOST_TO_PLAIN = 1;
const MOST_TO_RM = 1.2;
const MOST_LATENCY_RATIO = 1.5;
const MOST_MEMORY_BYTES = 250 * 1024 * 1024;
const MOST_MEMORY_RATIO = 1.3;

export interface Results {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly settings: Readonly<Record<string, string | number>>;
  /** Seconds of each round by row and tool. */
  readonly seconds: Partial<Record<Row, Record<string, number[]>>>;
  readonly limits: Record<string, number[]>;
  /** Bytes to and from the storage for the renamed folder, by tool. */
  readonly wireBytes: Record<string, { readonly sent: number; readonly received: number }>;
  /** The same when nothing changed. */
  readonly unchangedWireBytes: Record<string, { readonly sent: number; readonly received: number }>;
  /** One run of many, by what deletes it. */
  readonly deleteSeconds: Record<string, number[]>;
  /** Nothing changed, through the round-trip time, by tool. */
  readonly distantSeconds: Record<string, number[]>;
  /** Nothing changed through the same proxy without a delay. */
  readonly nearSeconds: Record<string, number[]>;
  /** Peak resident bytes of bakker by what it did. */
  readonly memoryBytes: Record<string, number>;
}

export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly target: number;
  readonly isReached: boolean;
}

/** A table of medians and ratios, and whether each target is reached. */
export function render(results: Results): { text: string; verdicts: Verdict[] } {
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const judge = (what: string, value: number, target: number): string => {
    const isReached = value <= target;
    verdicts.push({ what, value, target, isReached });
    return isReached ? 'reached' : 'MISSED';
  };
  lines.push(cells(['median seconds', 'bakker', 'rsync', 'restic', 'ratio', 'target', '']));
  for (const [row, target] of Object.entries(TARGETS) as [Row, number][]) {
    const byTool = results.seconds[row];
    if (byTool === undefined) continue;
    const [own = NaN, ...peers] = ['bakker', 'rsync', 'restic'].map((tool) => median(byTool[tool] ?? []));
    const measured = peers.filter((value) => !Number.isNaN(value));
    const ratio = measured.length === 0 ? NaN : own / Math.min(...measured);
    const verdict = Number.isFinite(ratio) ? judge(row, ratio, target) : '';
    lines.push(cells([row, ...[own, ...peers].map(seconds), seconds(ratio), `≤ ${target}`, verdict]));
  }
  lines.push(...shellLines(results, judge));
  for (const [name, values] of Object.entries(results.limits)) {
    lines.push(`limit: ${name}: ${seconds(median(values))} s`);
  }
  for (const [tool, { sent, received }] of Object.entries(results.wireBytes)) {
    const both = sent + received;
    const most = MOST_WIRE_BYTES[tool];
    const verdict = most === undefined ? '' : `, ${judge(`bytes on the wire, renamed, ${tool}`, both, most)}`;
    lines.push(
      `10 % renamed, on the wire: ${tool} ${inMb(both)} MB (${inMb(sent)} sent, ${inMb(received)} received)${verdict}`,
    );
  }
  for (const [tool, { sent, received }] of Object.entries(results.unchangedWireBytes))
    lines.push(`nothing changed, on the wire: ${tool} ${sent + received} bytes`);
  for (const [tool, values] of Object.entries(results.distantSeconds)) {
    const near = median(results.nearSeconds[tool] ?? []);
    const ratio = median(values) / near;
    const verdict = tool === 'bakker' ? `, ${judge('20 ms round trip', ratio, MOST_LATENCY_RATIO)}` : '';
    lines.push(
      `nothing changed, 20 ms round trip: ${tool} ${seconds(median(values))} s, ${ratio.toFixed(2)} times that without${verdict}`,
    );
  }
  const memory = Object.entries(results.memoryBytes);
  for (const [what, bytes] of memory) {
    const million = results.memoryBytes[what.replace('100,000', '1,000,000')];
    const parts = [`memory, ${what}: ${(bytes / 1024 / 1024).toFixed(0)} MiB`];
    if (what.includes('100,000')) parts.push(judge(`memory, ${what}`, bytes, MOST_MEMORY_BYTES));
    if (what.includes('100,000') && million !== undefined) {
      parts.push(
        `${(million / bytes).toFixed(2)} times that at 1,000,000: ${judge(`memory growth, ${what}`, million / bytes, MOST_MEMORY_RATIO)}`,
      );
    }
    lines.push(parts.join(', '));
  }
  return { text: lines.join('\n'), verdicts };
}

/** What is asked of the shell: each figure beside the one that it is held to. */
function shellLines(
  { seconds: bySeconds, limits, deleteSeconds }: Results,
  judge: (what: string, value: number, target: number) => string,
): string[] {
  const lines: string[] = [];
  const compare = (what: string, value: number, base: number, target: number): void => {
    if (!Number.isFinite(value / base)) return;
    const verdict = judge(what, value / base, target);
    lines.push(
      cells([what, seconds(value), seconds(base), '', seconds(value / base), `≤ ${target}`, verdict]),
    );
  };
  for (const [row, byTool] of Object.entries(bySeconds) as [Row, Record<string, number[]>][]) {
    const value = median(byTool[SHELL] ?? []);
    const peers = ['rsync', 'restic'].map((tool) => median(byTool[tool] ?? []));
    const quicker = Math.min(...peers.filter((peer) => !Number.isNaN(peer)));
    const target = SHELL_TARGETS[row];
    if (target !== undefined) compare(`shell: ${row}, to peers`, value, quicker, target);
    else if (Number.isFinite(value)) lines.push(cells([`shell: ${row}`, seconds(value), seconds(quicker)]));
    if (row === 'first run')
      compare(`shell: ${row}, to plain`, value, median(byTool['bakker'] ?? []), MOST_TO_PLAIN);
    if (row === 'nothing changed')
      compare(`shell: ${row}, to cp -al`, value, median(limits['cp -al'] ?? []), MOST_TO_LINKS);
  }
  const [own, rm] = ['bakker-storage', 'rm -rf'].map((tool) => median(deleteSeconds[tool] ?? []));
  compare('shell: delete a run, to rm -rf', own ?? NaN, rm ?? NaN, MOST_TO_RM);
  return lines;
}

function cells(values: readonly string[]): string {
  return values.map((value, index) => (index === 0 ? value.padEnd(36) : value.padStart(9))).join('');
}

const seconds = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(2));
const inMb = (bytes: number): string => (bytes / 1e6).toFixed(2);
