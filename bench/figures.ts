import type { Measured } from './measure.ts';

/** What is measured of a tool at a load. */
export type Quantity =
  'seconds' | 'onDiskSeconds' | 'cpuSeconds' | 'peakBytes' | 'wireBytes' | 'sentBytes' | 'addedBytes';

/** Every figure of every round: by quantity, load and tool. */
export type Figures = Partial<Record<Quantity, Record<string, Record<string, number[]>>>>;

export interface Results {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly figures: Figures;
}

/** Gathers figures, and tells them as they come. */
export class Notes {
  readonly figures: Figures = {};

  add(at: { quantity: Quantity; load: string; tool: string }, value: number): void {
    const byLoad = (this.figures[at.quantity] ??= {});
    const byTool = (byLoad[at.load] ??= {});
    (byTool[at.tool] ??= []).push(value);
  }

  measured(load: string, tool: string, measured: Measured): void {
    const { seconds, onDiskSeconds, peakBytes, cpuSeconds } = measured;
    this.add({ quantity: 'seconds', load, tool }, seconds);
    this.add({ quantity: 'onDiskSeconds', load, tool }, onDiskSeconds);
    this.add({ quantity: 'peakBytes', load, tool }, peakBytes);
    if (cpuSeconds !== undefined) this.add({ quantity: 'cpuSeconds', load, tool }, cpuSeconds);
    const cpu = cpuSeconds === undefined ? '' : `, ${cpuSeconds.toFixed(2)} s of processors`;
    progress(
      `${load}: ${tool} ${seconds.toFixed(2)} s (on disk ${onDiskSeconds.toFixed(2)} s)${cpu}, ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
    );
  }
}

export function progress(text: string): void {
  console.error(text);
}
