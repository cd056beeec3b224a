import { formatSpace } from '@bakker/command-line';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { Machine } from '../ports/machine.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import { unreadDisks } from '../source/covered-mounts.ts';
import { adviseMisplaced, describeMisplaced, misplacedPatterns } from '../source/misplaced-patterns.ts';
import { showPath } from '../source/show-path.ts';
import { failed, ok, warn, type Finding } from './finding.ts';

const LEAST_STATE_BYTES = 256 * 1024 * 1024;

/** The file names the key and the storage: others need not read it, and must not write it. */
export async function checkConfigFile(config: Config, machine: Machine): Promise<Finding> {
  const facts = await machine.inspect(config.file);
  if (facts !== undefined && (facts.mode & 0o022) !== 0) {
    return warn('configuration', `${config.file} can be changed by other users`, `chmod go-w ${config.file}`);
  }
  return ok('configuration', `${config.file} is valid`);
}

export function checkRuntime(machine: Machine): Finding {
  const { version, isCarried } = machine.runtime();
  if (Number(version.split('.')[0]) < 24) {
    return failed(
      'Node.js',
      new AgentError('RUN_FAILED', `this is Node.js ${version}; bakker needs 24`, {
        hint: 'start it as bin/bakker, which uses the Node.js that is carried along; scripts/setup brings it',
      }),
    );
  }
  if (isCarried) return ok('Node.js', `${version}, carried along`);
  return warn('Node.js', `${version} of this machine`, 'start it as bin/bakker, which uses the carried one');
}

export async function checkStateFolder(stateDir: string, machine: Machine): Promise<Finding> {
  try {
    await machine.tryWriting(stateDir);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('STATE_UNUSABLE', `${stateDir} can't be written: ${reason}`, {
      hint: 'run as root, or name another folder with --state',
      cause,
    });
  }
  const { freeBytes } = await machine.space(stateDir);
  if (freeBytes < LEAST_STATE_BYTES) {
    return warn(
      'state folder',
      `${stateDir} has only ${formatSpace(freeBytes)} free`,
      'make room there: manifests and the catalogue are kept in it',
    );
  }
  return ok('state folder', `${stateDir} can be written`);
}

/** Every source, not only the first that is missing; then what is mounted below them and not read, and patterns that find nothing. */
export async function checkSources(
  config: Config,
  { machine, source }: { machine: Machine; source: () => Promise<SourceTree> },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { path } of config.sources) {
    const found = await machine.matches(path);
    if (found.length > 0) continue;
    findings.push(
      failed(
        'sources',
        new AgentError('SOURCE_SUSPICIOUS', `${path} is not there`, {
          hint: 'mount it, or take it out of `sources:`',
        }),
      ),
    );
  }
  if (findings.length > 0) return findings;
  const count = config.sources.length;
  const words = count === 1 ? `${config.sources[0]?.path} is there` : `all ${count} are there`;
  const tree = await source();
  const sources = await tree.expand(config.sources, config.excludes);
  const { filesystems } = await tree.survey({ sources, onProblem: () => undefined });
  const misplaced = misplacedPatterns(sources, (path) => tree.hasFolder(path.subarray(1))).map((found) =>
    warn('sources', describeMisplaced(found), adviseMisplaced(found)),
  );
  const unread = unreadDisks(sources, filesystems).map(showPath);
  if (unread.length === 0) return misplaced.length === 0 ? [ok('sources', words)] : misplaced;
  const [are, them] =
    unread.length === 1 ? ['is a file system of its own', 'it'] : ['are file systems of their own', 'them'];
  return [
    ...misplaced,
    warn(
      'sources',
      `${words}; ${unread.join(', ')} ${are} below, and not backed up`,
      `add ${them} to \`sources:\`, or exclude ${them} if that is meant`,
    ),
  ];
}
