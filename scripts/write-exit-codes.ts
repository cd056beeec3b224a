import { readFile, writeFile } from 'node:fs/promises';
import { EXIT_STATUS } from '../packages/agent/src/errors.ts';

/** Makes docs/exit-codes.md from the table of errors: `node scripts/write-exit-codes.ts [--check]`. */
const FILE = new URL('../docs/exit-codes.md', import.meta.url);

const MEANING: Readonly<Record<number, string>> = {
  1: 'failed, nothing published',
  2: 'usage, configuration, or a storage or state folder that can not be used',
  3: 'published, but some files could not be read (each is named)',
  10: 'storage unreachable, host key changed, or key not accepted',
  11: 'another run holds the lock',
  12: 'key missing or wrong',
  13: 'storage refused or full',
  14: 'snapshot or quiesce failed',
  15: 'verification found damage',
  130: 'interrupted',
};

/** The whole page. */
export function renderExitCodes(): string {
  const codes = Object.entries(EXIT_STATUS);
  const statuses = [...new Set(codes.map(([, status]) => status))].sort((a, b) => a - b);
  const rows = statuses.map((status) => {
    const meaning = MEANING[status];
    if (meaning === undefined) throw new Error(`exit status ${status} has no meaning in write-exit-codes.ts`);
    const names = codes.filter(([, other]) => other === status).map(([code]) => `\`${code}\``);
    return [String(status), meaning, names.join(', ')];
  });
  return `# Exit statuses of bakker

<!-- Made by scripts/write-exit-codes.ts from packages/agent/src/errors.ts: change it there. -->

${renderTable([['exit', 'meaning', 'codes'], ['0', 'done', ''], ...rows])}

Codes are names inside the program; they are never reused for something else.

## What goes where

- Standard output has the result alone: lines for people, or with \`--json\` exactly one JSON value on one line.
- Standard error has progress, warnings and failures. A failure is a line \`bakker: …\` that names the object and the
  cause, and mostly a second, indented line with the next move. It is for people, with \`--json\` too: a script decides
  by the exit status, and when a command fails, standard output stays empty.
- Five commands answer a question by their exit status and print their result nevertheless, as JSON too:
  \`backup\` exits 3 when the run is published without some files, \`status\` exits 1 when the last success is too old,
  \`verify\` exits 15 when it found damage, \`recover\` exits 14 when something could not be undone, and \`notify\` exits 1
  when somebody could not be told.
  \`doctor\` ends with the status of the first check that failed.
- A reader that goes away (\`bakker ls … | head\`) is no failure: the command ends quietly.
- The first SIGINT or SIGTERM stops in order, and the next run goes on where this one stopped; a second ends at once.
  Both exit 130.
- Status 1 with \`bakker: unexpected …\` is a fault in bakker: \`BAKKER_DEBUG=1\` shows where it comes from.
`;
}

/** Padded as Prettier does. */
function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}

if (import.meta.main) {
  const page = renderExitCodes();
  if (process.argv.includes('--check')) {
    if ((await readFile(FILE, 'utf8')) !== page) {
      console.error('docs/exit-codes.md is out of date: node scripts/write-exit-codes.ts writes it');
      process.exitCode = 1;
    }
  } else await writeFile(FILE, page);
}
