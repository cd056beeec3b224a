import type { Quantity, Results } from './figures.ts';
import { median } from './measure.ts';
import { LOADS } from './names.ts';
import { TARGETS, type Target } from './targets.ts';

export interface Verdict {
  readonly what: string;
  /** Median of bakker's own. */
  readonly value: number;
  /** The least median of what it is held to. */
  readonly base: number | undefined;
  readonly ratio: number;
  readonly most: number;
  readonly isReached: boolean;
}

const QUANTITIES: Readonly<Record<Quantity, string>> = {
  seconds: 'seconds of wall time',
  onDiskSeconds: 'seconds until all of it is on the disk',
  cpuSeconds: "seconds of both ends' processors",
  peakBytes: "peak memory of the client's process",
  wireBytes: 'bytes on the wire, both ways',
  sentBytes: 'bytes sent',
  addedBytes: 'bytes added on the storage',
};
const SECONDS: ReadonlySet<Quantity> = new Set(['seconds', 'onDiskSeconds', 'cpuSeconds']);
const MIB = 2 ** 20;

/** Medians of all that was measured, then every target that could be judged by it, with its verdict. */
export function render(results: Results): { text: string; verdicts: Verdict[] } {
  const lines: string[] = [];
  for (const [quantity, title] of Object.entries(QUANTITIES) as [Quantity, string][])
    lines.push(...medians(results, quantity, title));
  const verdicts: Verdict[] = [];
  const rows: string[][] = [];
  for (const target of TARGETS) {
    const verdict = judge(results, target);
    if (verdict === undefined) continue;
    verdicts.push(verdict);
    rows.push(verdictRow(target, verdict));
  }
  lines.push(...table([['target', 'value', 'against', 'ratio', 'at most', 'verdict'], ...rows]));
  const reached = verdicts.filter(({ isReached }) => isReached).length;
  lines.push('', `${reached} of ${verdicts.length} targets reached`);
  return { text: lines.join('\n'), verdicts };
}

/** Undefined if a figure that it needs was not measured. */
function judge({ figures }: Results, { what, quantity, own, against, most }: Target): Verdict | undefined {
  const at = ({ load, tool }: Target['own']): number => median(figures[quantity]?.[load]?.[tool] ?? []);
  const value = at(own);
  const others = against.map(at).filter((other) => !Number.isNaN(other));
  if (Number.isNaN(value) || (against.length > 0 && others.length === 0)) return undefined;
  const base = against.length === 0 ? undefined : Math.min(...others);
  const ratio = value / (base ?? most);
  return { what, value, base, ratio, most, isReached: base === undefined ? value <= most : ratio <= most };
}

function verdictRow({ quantity }: Target, { what, value, base, ratio, most, isReached }: Verdict): string[] {
  const limit = base === undefined ? inUnit(quantity, most) : String(most);
  const against = base === undefined ? '' : inUnit(quantity, base);
  const verdict = isReached ? 'reached' : 'NOT REACHED';
  return [what, inUnit(quantity, value), against, ratio.toFixed(2), `≤ ${limit}`, verdict];
}

function medians({ figures }: Results, quantity: Quantity, title: string): string[] {
  const byLoad = figures[quantity];
  if (byLoad === undefined) return [];
  const tools = [...new Set(Object.values(byLoad).flatMap((byTool) => Object.keys(byTool)))];
  const rows = Object.entries(byLoad).map(([load, byTool]) => [
    titleOf(load),
    ...tools.map((tool) => {
      const value = median(byTool[tool] ?? []);
      return Number.isNaN(value) ? '-' : inUnit(quantity, value);
    }),
  ]);
  return [...table([[title, ...tools], ...rows]), ''];
}

function titleOf(load: string): string {
  const known = Object.entries(LOADS).find(([name]) => name === load);
  return known?.[1] ?? load;
}

/** As Markdown, so that it can be put into a document as it is. */
function table([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const widths = head.map((_title, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)];
}

function inUnit(quantity: Quantity, value: number): string {
  if (SECONDS.has(quantity)) return value.toFixed(2);
  if (quantity === 'peakBytes') return `${(value / MIB).toFixed(0)} MiB`;
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(2)} MB`;
}
