import { formatDate, formatDuration } from '@bakker/command-line';
import type { LastRuns } from '../ports/state-folder.ts';
import type { Outcome, Subject } from './outcome.ts';

/** Longer ones are refused by some receivers. */
const MOST_BYTES = 3_500;

/** One line: what happened, to which server, and how old the last good run is. */
export function subjectOf(outcome: Outcome, about: { subject: Subject; last: LastRuns | undefined }): string {
  const { subject, last } = about;
  const what = `${subject.host}: ${HAPPENED[outcome.kind](outcome)}`;
  if (outcome.kind === 'success' || outcome.kind === 'partial') return what;
  return `${what}; ${lastSuccess(outcome, last)}`;
}

/** The message itself, without the subject. At most 3,500 bytes. */
export function textOf(outcome: Outcome, about: { subject: Subject; last: LastRuns | undefined }): string {
  const { subject, last } = about;
  const ago = outcome.kind === 'success' || outcome.kind === 'partial' ? undefined : agoLine(outcome, last);
  const lines = [
    outcome.message,
    ...(outcome.report?.warnings ?? []).map((warning) => `warning: ${warning}`),
    '',
    ...(ago === undefined ? [] : [ago]),
    ...(last?.frozen === undefined
      ? []
      : [`Retention stands still since ${last.frozen.sinceRun}: ${last.frozen.reason}.`]),
    `Server: ${subject.host}`,
    `Account: ${subject.account}`,
    `Exit status: ${outcome.exitStatus}`,
  ];
  return shorten(lines.join('\n'), MOST_BYTES);
}

const HAPPENED: Readonly<Record<Outcome['kind'], (outcome: Outcome) => string>> = {
  success: () => 'backed up',
  partial: () => 'backed up without some files',
  failure: ({ unit }) => (unit === undefined ? 'backup FAILED' : `${unit} FAILED`),
  interrupted: () => 'backup interrupted',
  skipped: () => 'no backup due',
  test: () => 'test of notifications',
};

function lastSuccess({ finishedAtMs }: Outcome, last: LastRuns | undefined): string {
  if (last === undefined) return 'the last success is not known';
  if (last.lastSuccess === undefined) return 'NO backup has ever succeeded';
  return `last success ${age(finishedAtMs - last.lastSuccess.finishedAtMs)}`;
}

function agoLine({ finishedAtMs }: Outcome, last: LastRuns | undefined): string {
  if (last === undefined) return 'The last success is not known: the state folder can not be read.';
  const { lastSuccess } = last;
  if (lastSuccess === undefined) return 'No backup of this server has ever succeeded.';
  const when = `${formatDate(lastSuccess.finishedAtMs)}, ${age(finishedAtMs - lastSuccess.finishedAtMs)}`;
  return `Last success: run ${lastSuccess.run}, ${lastSuccess.status}, ${when}.`;
}

function age(ageMs: number): string {
  return ageMs < 0 ? 'in the future: a clock is wrong' : `${formatDuration(ageMs)} ago`;
}

function shorten(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= mostBytes) return text;
  // a character that is cut in two becomes U+FFFD at the end
  const kept = bytes
    .subarray(0, mostBytes - 10)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return `${kept}\n[…]`;
}
