import t from 'tap';
import { readCommandLine } from '../src/read-command-line.ts';
import { PRETEND, PRETEND_COMMANDS, PretendError } from './pretend-program.ts';

const read = (words: readonly string[]) =>
  readCommandLine(words, { program: PRETEND, commands: PRETEND_COMMANDS });

t.test('what is not given has its default, else false or undefined', async (t) => {
  t.match(await read(['fetch', 'a']), {
    kind: 'run',
    command: { name: 'fetch' },
    globals: { rootDir: '/root', json: false },
    args: {
      what: 'a',
      more: { length: 0 },
      from: undefined,
      role: 'reader',
      'dry-run': false,
      dryRun: false,
      read: true,
      times: undefined,
      tag: undefined,
    },
  });
});

t.test('flags stand before the command, after it and between its words', async (t) => {
  const expected = {
    globals: { rootDir: '/x', json: true },
    args: { what: 'a', more: ['b', '-1', '--json'], from: 'there', dryRun: true, read: false, times: 3 },
  };
  const orders = [
    [
      '--root',
      '/x',
      'fetch',
      'a',
      '--from',
      'there',
      'b',
      '--json',
      '--dry-run',
      '--no-read',
      '--times',
      '3',
    ],
    ['--root=/x', '--json', 'fetch', '--times=3', '--from=there', 'a', 'b', '--dry-run', '--read=false'],
  ];
  for (const words of orders) t.match(await read([...words, '--', '-1', '--json']), expected);
});

t.test('lists may be given more than once', async (t) => {
  t.match(await read(['fetch', 'a', '--tag', 'x', '--tag=y']), { args: { what: 'a', tag: ['x', 'y'] } });
});

t.test('help and the version are asked for in every way', async (t) => {
  for (const words of [['--version'], ['fetch', '--version'], ['--json', '--version']])
    t.same(await read(words), { kind: 'version' });
  for (const words of [['--help'], ['-h'], ['help'], ['--json', '--help']])
    t.match(await read(words), { kind: 'help', command: undefined });
  for (const words of [
    ['help', 'send'],
    ['send', '--help'],
    ['send', '-h'],
    ['--root', 'fetch', 'send', '-h'],
  ])
    t.match(await read(words), { kind: 'help', command: { name: 'send' } });
  t.match(await read(['fetch', '--', '--help']), { kind: 'run', args: { what: '--help' } });
});

t.test('what can not be meant is refused with a reason and the next move', async (t) => {
  const refused: readonly (readonly [string[], RegExp, RegExp])[] = [
    [[], /^no command given$/, /^give one of fetch, send; pretend --help/],
    [['--jsn'], /^there is no flag --jsn$/, /did you mean --json\?/],
    [['fech'], /^there is no command fech$/, /did you mean fetch\?/],
    [['evil\x1b[31m'], /^there is no command evil\\x1b\[31m$/, /pretend --help lists the commands/],
    [['help', 'sned'], /^there is no command sned$/, /did you mean send\?/],
    [['fetch'], /^fetch: WHAT is missing$/, /pretend fetch <what> \[more\.\.\]; pretend fetch --help/],
    [['send', '--to', 'x', 'slowly'], /^send: WAY is one of fast, slow, not slowly$/, /pretend send --help/],
    [['send', '--to', 'x', 'slow', 'y\n'], /^send: y\\n is one word too many$/, /pretend send --help/],
    [['send'], /^send: --to is missing$/, /pretend send --help/],
    [['send', '--to'], /^send: --to needs a value$/, /pretend send --help/],
    [['send', '--to='], /^send: --to needs a value$/, /pretend send --help/],
    [['send', '--to', ''], /^send: --to needs a value$/, /pretend send --help/],
    [['send', '--to', 'x', '--to', 'y'], /^send: --to is given more than once$/, /pretend send --help/],
    [['send', '--to', 'x', '--from', 'y'], /^send: there is no flag --from$/, /pretend send --help/],
    [['fetch', 'a', '--dryrun'], /^fetch: there is no flag --dryrun$/, /did you mean --dry-run\?/],
    [['fetch', 'a', '-x'], /^fetch: there is no flag -x$/, /pretend fetch --help lists the flags/],
    [['fetch', 'a', '--times', 'many'], /^fetch: --times needs a number$/, /pretend fetch --help/],
    [['fetch', 'a', '--role', 'thief'], /^fetch: --role is one of reader, writer, not thief$/, /help/],
    [['fetch', 'a', '--role=th\x07f'], /^fetch: --role is one of reader, writer, not th\\x07f$/, /help/],
  ];
  for (const [words, message, hint] of refused) {
    const error: unknown = await read(words).catch((thrown: unknown) => thrown);
    t.ok(error instanceof PretendError, JSON.stringify(words));
    t.match(error, { code: 'USAGE', exitStatus: 2, message, hint }, JSON.stringify(words));
  }
});
