import { tellsAnybody } from '../config/notify-settings.ts';
import type { Config } from '../config/config.ts';
import { parseHttpUrl } from '../config/read-notify.ts';
import type { SecretSource } from '../config/service-settings.ts';
import type { Machine } from '../ports/machine.ts';
import { ok, warn, type Finding } from './finding.ts';
import { missingOf } from './service-checks.ts';

const CHECK = 'notifications';

/**
 * Whether anybody would hear of a failure. Warnings only: a run does not depend on it.
 *
 * @param isOnline - also asks the servers whether they answer; nothing is sent to anybody
 */
export async function checkNotify(
  { notify }: Config,
  { machine, isOnline }: { machine: Machine; isOnline: boolean },
): Promise<Finding[]> {
  const { hooks, ping, mail, ntfy, prometheus } = notify;
  if (!tellsAnybody(notify)) {
    return [
      warn(
        CHECK,
        'nobody is told when backups fail',
        'add notify: to the configuration; docs/notifications.md',
      ),
    ];
  }
  const findings: Finding[] = [];
  const note = (way: string, missing: readonly string[]): void => {
    if (missing.length > 0)
      findings.push(warn(CHECK, `${way}: ${missing.join(', ')}`, 'correct notify: in the configuration'));
  };
  for (const { name, argv, user } of hooks)
    note(`hook ${name}`, await missingOf({ programs: argv.slice(0, 1), users: [user] }, machine));
  if (mail !== undefined) note('mail', await missingOf({ programs: [mail.program], users: [] }, machine));
  if (prometheus !== undefined) {
    const folder = prometheus.file.replace(/\/[^/]*$/, '') || '/';
    note('prometheus', await missingOf({ programs: [], users: [], files: [folder] }, machine));
  }
  if (typeof ping?.url === 'object') note('ping', await secretTrouble(ping.url, machine));
  if (ntfy?.token !== undefined) note('ntfy', await secretTrouble(ntfy.token, machine));
  if (ntfy?.token !== undefined && /^http:/i.test(ntfy.url))
    note('ntfy', ['its token would cross the network in the clear: the URL is http://']);
  if (isOnline) {
    for (const [way, url] of [['ping', ping?.url] as const, ['ntfy', ntfy?.url] as const]) {
      if (typeof url === 'string') note(way, await reachTrouble(url, machine));
    }
  }
  if (findings.length > 0) return findings;
  return [ok(CHECK, isOnline ? 'all are there and answer' : 'all are there; bakker notify --test sends one')];
}

async function secretTrouble(secret: SecretSource, machine: Machine): Promise<string[]> {
  // a credential is there only for what systemd starts
  if (secret.from !== 'file') return [];
  const facts = await machine.inspect(secret.file);
  if (facts === undefined) return [`there is no ${secret.file}`];
  return (facts.mode & 0o007) === 0 ? [] : [`every user may read ${secret.file}: chmod o= it`];
}

async function reachTrouble(text: string, machine: Machine): Promise<string[]> {
  const url = parseHttpUrl(text);
  if (url === undefined) return [];
  try {
    await machine.reach(url.origin);
    return [];
  } catch (error) {
    return [`${url.host} can't be reached: ${error instanceof Error ? error.message : String(error)}`];
  }
}
