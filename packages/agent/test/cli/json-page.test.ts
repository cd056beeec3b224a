import { readFileSync } from 'node:fs';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';

const PAGE = new URL('../../../../docs/json.md', import.meta.url);

t.test('docs/json.md has a line for every command', (t) => {
  const own = /^## bakker$(.*)^## bakker-storage$/ms.exec(readFileSync(PAGE, 'utf8'))?.[1] ?? '';
  for (const { name } of COMMANDS) t.match(own, new RegExp(`^\\| .*\`${name}[\` ]`, 'm'), name);
  t.end();
});
