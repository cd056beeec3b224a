import { readFileSync } from 'node:fs';
import t from 'tap';
import { renderExitCodes } from '../../../../scripts/write-exit-codes.ts';

t.test('docs/exit-codes.md is what scripts/write-exit-codes.ts makes of the table', (t) => {
  const page = readFileSync(new URL('../../../../docs/exit-codes.md', import.meta.url), 'utf8');
  t.equal(page, renderExitCodes());
  t.end();
});
