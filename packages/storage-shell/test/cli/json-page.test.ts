import { readFileSync } from 'node:fs';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';

const PAGE = new URL('../../../../docs/json.md', import.meta.url);

t.test('docs/json.md has a line for every command of the storage', (t) => {
  const own = readFileSync(PAGE, 'utf8').split(/^## bakker-storage$/m)[1] ?? '';
  for (const { name } of COMMANDS) t.match(own, new RegExp(`^\\| .*\`${name}\``, 'm'), name);
  t.end();
});
