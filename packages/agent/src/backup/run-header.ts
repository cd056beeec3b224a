import { escapeText } from '@bakker/command-line';
import type { ManifestHeader, RunName } from '@bakker/impl-format';
import type { Naming } from '../sealed/sealing.ts';
import type { WriteRunOptions } from './write-run.ts';

/** The first line of a run's manifest. */
export function makeHeader(
  options: WriteRunOptions,
  { run, startedAtMs, naming }: { run: RunName; startedAtMs: number; naming: Naming | undefined },
): ManifestHeader {
  const recipients = options.encryption?.recipients;
  return {
    run,
    parent: options.parent?.run ?? null,
    parentDigest: options.parent?.digest ?? null,
    host: options.host,
    agent: `bakker ${options.version}`,
    startedAtMs,
    sources: options.plan.sources.map(({ path }) => path),
    filesystems: options.survey.filesystems,
    ...(recipients === undefined ? {} : { recipients }),
    ...(naming?.nameKey === undefined ? {} : { nameKey: naming.nameKey }),
  };
}

/** A server that was renamed, or two that take turns in one account: each then compares with the other's files. */
export function otherServersRun({ run, host: other }: ManifestHeader, host: string): string {
  return (
    `${run} is a run of ${escapeText(other)}, and this is ${escapeText(host)}: unless it was renamed, or took that one's place, ` +
    'give each server an account of its own, for retention takes their runs for those of one'
  );
}
