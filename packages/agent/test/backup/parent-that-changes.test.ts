import { rmSync, writeFileSync, mkdirSync } from 'node:fs';
import t from 'tap';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { World } from '../restore/world.ts';

t.test('a manifest that is another one when it is fetched again is not kept', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/file`, 'first');
  const older = await world.backUp();
  writeFileSync(`${world.source}/file`, 'second');
  const newer = await world.backUp();
  rmSync(`${world.folder}/state`, { recursive: true });
  let fetched = 0;
  const openAccount = async () => {
    const account = await world.account();
    const manifest = account.manifest.bind(account);
    account.manifest = (run, sizeBytes) => manifest(run === newer && ++fetched > 2 ? older : run, sizeBytes);
    return account;
  };
  const report = await world.report([world.source], openSourceTree(), { openAccount });
  t.equal(fetched, 3, 'what it begins with, all of it to be checked, and all of it to be kept');
  t.match(report.warnings[0], new RegExp(`run ${newer} is damaged: .* not what was written there`));
  t.equal(report.parent, older);
});
