import type { Told } from '../ports/notifier.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { Outcome } from './outcome.ts';

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/**
 * What Prometheus' node exporter reads from a `.prom` file (text exposition format 0.0.4). The figures of a run are those
 * of the last published one, also after later ones failed.
 */
export function renderMetrics(
  outcome: Outcome,
  about: { account: string; last: LastRuns | undefined; figures: Told['figures'] },
): string {
  const { account, last, figures } = about;
  const attempt = attemptOf(outcome, last);
  const report = figures?.report;
  const space = figures?.space;
  const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [[{}, value]]);
  const blocks = [
    gauge(
      'bakker_last_success_timestamp_seconds',
      'End of the last published run, Unix time; 0 if there never was one.',
      one(last === undefined ? undefined : (last.lastSuccess?.finishedAtMs ?? 0) / 1000),
    ),
    gauge(
      'bakker_last_attempt_timestamp_seconds',
      'End of the last attempt, Unix time.',
      one(attempt && attempt.finishedAtMs / 1000),
    ),
    gauge(
      'bakker_last_attempt_duration_seconds',
      'How long the last attempt took.',
      one(attempt && (attempt.finishedAtMs - attempt.startedAtMs) / 1000),
    ),
    gauge(
      'bakker_last_attempt_exit_status',
      'Exit status of the last attempt: 0 complete, 3 published without some files, others failed.',
      one(attempt?.exitStatus),
    ),
    gauge('bakker_run_duration_seconds', 'How long the last published run took.', one(report?.seconds)),
    gauge(
      'bakker_run_window_seconds',
      'How long services stood still for the last published run.',
      one(report?.windowSeconds),
    ),
    gauge(
      'bakker_run_bytes',
      'Bytes of the last published run: all its files, content sent, content added to the account.',
      labelled('kind', report?.bytes),
    ),
    gauge(
      'bakker_run_files',
      'Files of the last published run; total is all of them.',
      labelled('state', report?.files),
    ),
    gauge(
      'bakker_storage_free_bytes',
      'Left on the storage after the last published run.',
      one(space?.freeBytes),
    ),
    gauge('bakker_storage_total_bytes', 'Size of the storage for this account.', one(space?.totalBytes)),
    gauge('bakker_storage_free_inodes', 'Files that fit on the storage.', one(space?.freeInodes)),
    gauge(
      'bakker_retention_frozen',
      '1 while retention stands still until a person has looked.',
      one(last && (last.frozen === undefined ? 0 : 1)),
    ),
  ];
  return blocks.map((block) => render(block, { account })).join('');
}

interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Gauge {
  return { name, help, samples };
}

function labelled(label: string, values: Readonly<Record<string, number>> | undefined): Sample[] {
  return Object.entries(values ?? {}).map(([key, value]) => [{ [label]: key }, value]);
}

/** A run that was not due is no attempt, and a test is none either. */
function attemptOf(outcome: Outcome, last: LastRuns | undefined): LastRuns['lastAttempt'] {
  return outcome.kind === 'skipped' || outcome.kind === 'test' ? last?.lastAttempt : outcome;
}

function render({ name, help, samples }: Gauge, common: Readonly<Record<string, string>>): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries({ ...common, ...labels });
    return `${name}{${pairs.map(([key, text]) => `${key}="${escape(text)}"`).join(',')}} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
