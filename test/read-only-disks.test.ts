import { writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { makeWorld } from './harness/world.ts';

interface StatusReport {
  readonly health: string;
  readonly lastSuccess: { readonly run: string } | null;
}

/** Makes a folder read-only for the program that follows, as a failing disk is. */
function readOnly(folder: string): readonly string[] {
  const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  return ['unshare', '--mount', 'sh', '-c', script, folder];
}

t.test('a machine whose disks have become read-only still tells its monitoring, and reads', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  const { run } = await world.backup();
  const through = readOnly(world.bakker.stateDir);

  const status = await world.expect(['status', '--json'], 0, { through });
  t.match(status.json<StatusReport>(), { health: 'ok', lastSuccess: { run } });
  const refused = await world.expect(['backup'], 2, { through });
  t.match(refused.stderr, /the state folder .* can't be written/);
  const target = `${world.bakker.folder}/restored`;
  await world.expect(['restore', '--from', 'latest', '--to', target], 0, { through });
  t.same(await compareTrees(world.source, `${target}${world.source}`), []);
});
