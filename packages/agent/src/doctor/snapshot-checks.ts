import type { Config } from '../config/config.ts';
import { asksToFreeze, needOneMoment, needsSnapshot } from '../config/freezing.ts';
import { AgentError } from '../errors.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { PlannedVolume, Volumes } from '../ports/volumes.ts';
import { showPath } from '../source/show-path.ts';
import { sourcesToFreeze } from '../volumes/freeze.ts';
import { failed, ok, warn, type Finding } from './finding.ts';

const SNAPSHOTS = 'snapshots';

/** How each file system with sources would be frozen, and why so. Changes nothing. */
export async function checkSnapshots(
  config: Config,
  { volumes, live }: { volumes: Volumes; live: SourceTree },
): Promise<Finding[]> {
  if (!asksToFreeze(config)) return [await offer(config, { volumes, live })];
  const plan = await volumes.plan(await sourcesToFreeze(config, live));
  const findings = plan.volumes.map((volume) => judge(volume, config.services));
  for (const text of plan.warnings) {
    findings.push(warn(SNAPSHOTS, text, 'docs/snapshots.md says what each provider can do'));
  }
  return findings;
}

function judge(volume: PlannedVolume, services: Config['services']): Finding {
  const { mountPoint, provider, why, sources, problem, moment } = volume;
  const where = showPath(mountPoint);
  if (problem !== undefined) {
    return failed(SNAPSHOTS, new AgentError('SNAPSHOT_FAILED', problem.message, { hint: problem.hint }));
  }
  const words = `${provider} at ${where} for ${sources.map(showPath).join(', ')}: ${why}`;
  const isLive = provider === 'none';
  const databases = moment === undefined ? needOneMoment(services) : [];
  if (databases.length > 0) {
    const how = isLive ? 'read while they change' : 'copied one after the other';
    const names = databases.join(', ');
    return warn(
      SNAPSHOTS,
      `${words}; if files of ${names} are there, they are ${how} and may not fit each other`,
      'for a database there: stop it (systemd) and copy it, or dump it, or PostgreSQL by backup-mode (docs/quiesce.md)',
    );
  }
  if (!isLive || !needsSnapshot(services)) return ok(SNAPSHOTS, words);
  return warn(
    SNAPSHOTS,
    words,
    'services there are read while they change: choose "snapshot: mirror", or dump them (docs/quiesce.md)',
  );
}

/** For a configuration that reads live files: what it could have. */
async function offer(
  config: Config,
  { volumes, live }: { volumes: Volumes; live: SourceTree },
): Promise<Finding> {
  const auto: Config = { ...config, snapshot: { ...config.snapshot, provider: 'auto' } };
  const isLeftOpen = !config.stated.includes('snapshot');
  const plan = isLeftOpen ? await volumes.plan(await sourcesToFreeze(auto, live)) : undefined;
  const offered = (plan?.volumes ?? []).filter(
    ({ provider, problem }) => provider !== 'none' && problem === undefined,
  );
  const could = offered
    .map(({ provider, mountPoint }) => `${provider} at ${showPath(mountPoint)}`)
    .join(', ');
  const words = could === '' ? '' : `; "snapshot: auto" would use ${could}`;
  return ok(SNAPSHOTS, `none: files are read live${words}`);
}
