import { readFile, writeFile } from 'node:fs/promises';
import { EXIT_STATUS } from '../packages/agent/src/errors.ts';
import { EXIT_STATUS as STORAGE_EXIT_STATUS } from '../packages/storage-shell/src/errors.ts';

/** Makes docs/exit-codes.md from the tables of errors: `node scripts/write-exit-codes.ts [--check]`. */
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

const STORAGE_MEANING: Readonly<Record<number, string>> = {
  1: 'failed, or what was named is not there',
  2: 'usage, a policy or record with mistakes, or an account or machine that can not be used',
  11: 'another bakker-storage or a session is at it',
  13: 'not allowed, or full',
  15: 'scrub found damage',
  130: 'interrupted',
};

/** The whole page. */
export function renderExitCodes(): string {
  return `# Exit statuses

<!-- Made by scripts/write-exit-codes.ts from errors.ts in packages/agent/src and packages/storage-shell/src: change it there. -->

## bakker

${renderStatuses(EXIT_STATUS, MEANING)}

[Operations](operations.md#what-to-do-for-each-exit-status) says what to do for each.

## bakker-storage

${renderStatuses(STORAGE_EXIT_STATUS, STORAGE_MEANING)}

With \`--all\`, every account has its turn, and the status is that of the first that failed. What a session answers to a server is no exit
status: [the protocol](storage-protocol.md) has it.

## Codes

Codes are names inside the program; they are never reused for something else.

## What goes where

- Standard output has the result alone: lines for people, or with \`--json\` exactly one JSON value on one line ([json.md](json.md)).
- Standard error has progress, warnings and failures. A failure is a line \`bakker: …\` (or \`bakker-storage: …\`) that names the object and the
  cause, and mostly a second, indented line with the next move. It is for people, with \`--json\` too: a script decides
  by the exit status, and when a command fails, standard output stays empty.
- Six commands answer a question by their exit status and print their result nevertheless, as JSON too:
  \`backup\` exits 3 when the run is published without some files, \`restore\` exits 1, 3 or 15 when it did not bring everything back
  ([restore.md](restore.md#exit-status-of-restore)), \`status\` exits 1 when the last success is too old or a run on the storage is damaged,
  \`verify\` exits 15 when it found damage and 12 when there were runs that no given key opens, \`recover\` exits 14 when something could not be undone, and \`notify\` exits 1
  when somebody could not be told. So does \`bakker-storage scrub\`, which exits 15 while damage is known.
  \`doctor\` ends with the status of the first check that failed.
- A reader that goes away (\`bakker ls … | head\`) is no failure: the command ends quietly.
- The first SIGINT or SIGTERM stops in order, and the next run goes on where this one stopped; a second ends at once.
  Both exit 130.
- Status 1 with \`bakker: unexpected …\` is a fault in bakker: \`BAKKER_DEBUG=1\` shows where it comes from.
`;
}

function renderStatuses(
  table: Readonly<Record<string, number>>,
  meanings: Readonly<Record<number, string>>,
): string {
  const codes = Object.entries(table);
  const statuses = [...new Set(codes.map(([, status]) => status))].sort((a, b) => a - b);
  const rows = statuses.map((status) => {
    const meaning = meanings[status];
    if (meaning === undefined) throw new Error(`exit status ${status} has no meaning in write-exit-codes.ts`);
    const names = codes.filter(([, other]) => other === status).map(([code]) => `\`${code}\``);
    return [String(status), meaning, names.join(', ')];
  });
  return renderTable([['exit', 'meaning', 'codes'], ['0', 'done', ''], ...rows]);
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
