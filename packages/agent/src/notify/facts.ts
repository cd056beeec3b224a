import type { HookInput } from '../ports/notifier.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { Outcome, Subject } from './outcome.ts';

/** The same facts twice: in the environment for a line of shell, as JSON for a program. */
export function hookInput(
  outcome: Outcome,
  about: { subject: Subject; last: LastRuns | undefined; text: string },
): HookInput {
  const { subject, last, text } = about;
  const { kind, exitStatus, message, startedAtMs, finishedAtMs, report, space, unit } = outcome;
  const success = last?.lastSuccess;
  const facts = {
    event: kind,
    host: subject.host,
    account: subject.account,
    version: subject.version,
    exitStatus,
    message,
    text,
    startedAt: new Date(startedAtMs).toISOString(),
    finishedAt: new Date(finishedAtMs).toISOString(),
    run: report?.run ?? null,
    lastSuccess:
      success === undefined
        ? null
        : {
            run: success.run,
            status: success.status,
            finishedAt: new Date(success.finishedAtMs).toISOString(),
            ageSeconds: Math.round((finishedAtMs - success.finishedAtMs) / 1000),
          },
    unit: unit ?? null,
    report: report ?? null,
    space: space ?? null,
  };
  const env = {
    BAKKER_EVENT: kind,
    BAKKER_HOST: subject.host,
    BAKKER_ACCOUNT: subject.account,
    BAKKER_EXIT_STATUS: String(exitStatus),
    BAKKER_MESSAGE: message,
    BAKKER_STARTED_AT: facts.startedAt,
    BAKKER_FINISHED_AT: facts.finishedAt,
    BAKKER_RUN: facts.run ?? '',
    BAKKER_LAST_SUCCESS: facts.lastSuccess?.finishedAt ?? '',
    BAKKER_LAST_SUCCESS_AGE_SECONDS: String(facts.lastSuccess?.ageSeconds ?? ''),
    BAKKER_FILES: String(report?.files.total ?? ''),
    BAKKER_BYTES_SENT: String(report?.bytes.sent ?? ''),
    BAKKER_UNIT: unit ?? '',
  };
  return { env: withoutNul(env), stdin: `${JSON.stringify(facts)}\n` };
}

/** The kernel takes none, and a hook must run whatever a message says. */
function withoutNul(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replaceAll('\0', '').slice(0, 32_768)]),
  );
}
