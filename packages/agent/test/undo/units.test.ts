import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';

const UNITS = path.resolve(import.meta.dirname, '../../../../systemd');

t.test('what a unit of bakker started again outlives that unit', async (t) => {
  const releasing = fs
    .readdirSync(UNITS)
    .filter((name) => name.endsWith('.service'))
    .map((name) => ({ name, lines: fs.readFileSync(path.join(UNITS, name), 'utf8').split('\n') }))
    .filter(({ lines }) => lines.some((line) => /^Exec\w+=.*\bbakker (backup|recover)\b/.test(line)));
  t.same(
    releasing.map(({ name }) => name),
    ['bakker-recover.service', 'bakker.service'],
  );
  for (const { name, lines } of releasing) t.ok(lines.includes('KillMode=process'), name);
});
