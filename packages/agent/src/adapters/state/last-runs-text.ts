import { parseRunName } from '@bakker/impl-format';
import type { LastRuns } from '../../ports/state-folder.ts';

/** Reads `last.json`; what is missing or damaged counts as never known. */
export function decodeLastRuns(text: string | undefined): LastRuns {
  const value = asObject(parse(text));
  const thawedRun = typeof value['thawedRun'] === 'string' ? parseRunName(value['thawedRun']) : undefined;
  return {
    lastSuccess: decodeSuccess(asObject(value['lastSuccess'])),
    lastAttempt: decodeAttempt(asObject(value['lastAttempt'])),
    frozen: decodeFrozen(asObject(value['frozen'])),
    ...(typeof value['address'] === 'string' ? { address: value['address'] } : {}),
    ...(thawedRun === undefined ? {} : { thawedRun }),
  };
}

function decodeSuccess(value: Readonly<Record<string, unknown>>): LastRuns['lastSuccess'] {
  const { run, status, startedAtMs, finishedAtMs, windowMs } = value;
  const name = typeof run === 'string' ? parseRunName(run) : undefined;
  if (!name || (status !== 'complete' && status !== 'partial')) return undefined;
  if (typeof startedAtMs !== 'number' || typeof finishedAtMs !== 'number') return undefined;
  const times = { startedAtMs, finishedAtMs, ...(typeof windowMs === 'number' ? { windowMs } : {}) };
  const { files, bytes } = asObject(value['held']);
  const held = typeof files === 'number' && typeof bytes === 'number' ? { held: { files, bytes } } : {};
  return { run: name, status, ...times, ...held };
}

function decodeAttempt(value: Readonly<Record<string, unknown>>): LastRuns['lastAttempt'] {
  const { startedAtMs, finishedAtMs, exitStatus, message } = value;
  if (typeof startedAtMs !== 'number' || typeof finishedAtMs !== 'number') return undefined;
  if (typeof exitStatus !== 'number' || typeof message !== 'string') return undefined;
  return { startedAtMs, finishedAtMs, exitStatus, message };
}

function decodeFrozen(value: Readonly<Record<string, unknown>>): LastRuns['frozen'] {
  const { reason, sinceRun, isAtStorage } = value;
  const run = typeof sinceRun === 'string' ? parseRunName(sinceRun) : undefined;
  if (typeof reason !== 'string' || !run) return undefined;
  return { reason, sinceRun: run, ...(isAtStorage === true ? { isAtStorage } : {}) };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '{}');
  } catch {
    return {};
  }
}
