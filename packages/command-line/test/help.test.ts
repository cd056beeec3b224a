import t from 'tap';
import { renderCommandHelp, renderOverview } from '../src/help.ts';
import { PRETEND, PRETEND_COMMANDS } from './pretend-program.ts';

t.test('the overview names commands, flags with their values and defaults, and examples', (t) => {
  t.equal(
    renderOverview(PRETEND, PRETEND_COMMANDS),
    `pretend is here to be tried.

Usage: pretend COMMAND [flags]

Commands:
  fetch WHAT [MORE…]  Get things
  send [WAY]          Give things away

Flags of every command:
  --root DIR          DIR of everything (/root)
  --json              print one JSON value on standard output
  --help              show what a command does and takes
  --version           show the version

Examples:
  pretend fetch a   get a

pretend COMMAND --help shows the flags of a command. Exit statuses: docs/exit-codes.md.
`,
  );
  t.notMatch(renderOverview({ ...PRETEND, examples: [] }, PRETEND_COMMANDS), /Examples/);
  t.end();
});

t.test("a command's help has its words, its flags and what they may be", async (t) => {
  const [command] = PRETEND_COMMANDS;
  if (command === undefined) throw new Error('the pretend program has commands');
  const help = await renderCommandHelp({ program: PRETEND, command });
  t.match(help, /^pretend fetch <what> \[more\.\.\]\n\nGet things\n/);
  t.match(help, /--role +as whom.*choices: "reader", "writer".*default: "reader"/s);
  t.match(help, /Flags of every command:\n +--root +DIR of everything/);
  const narrow = await renderCommandHelp({ program: PRETEND, command }, 80);
  t.ok(
    narrow.split('\n').every((line) => line.length <= 80),
    'fits the terminal',
  );
  t.match(help, /Examples:\n +pretend fetch a b +a and b\n$/);
});
