import { StageClock } from './stage-clock.ts';

const cpuMs = ({ user, system }: { user: number; system: number }): number => (user + system) / 1000;

/** One for the process: a command is all that it does, and whoever takes time says so in one line, however deep it is. */
export const stages = new StageClock({
  nowMs: () => performance.now(),
  cpuMs: () => cpuMs(process.cpuUsage()),
  mainCpuMs: () => cpuMs(process.threadCpuUsage()),
  idleMs: () => performance.eventLoopUtilization().idle,
});
