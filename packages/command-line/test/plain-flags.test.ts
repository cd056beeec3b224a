import { deepEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { readPlainFlags } from '../src/plain-flags.ts';
import { readByYargs } from '../src/read-flags.ts';
import { PRETEND, PRETEND_COMMANDS } from './pretend-program.ts';

const [fetch] = PRETEND_COMMANDS;
if (fetch === undefined) throw new Error('the pretend program has commands');
const flags = { ...PRETEND.globalFlags, ...fetch.flags };

t.test('the command lines of timers and forced commands are read without yargs', (t) => {
  const plain = [['--root', '/x', '--role', 'writer', '--no-read'], ['a', '--json', 'b'], ['-c', 'sh'], []];
  for (const words of plain) t.ok(readPlainFlags(words, flags), words.join(' '));
  const others = [
    ['--root=/x'],
    ['--times', '3'],
    ['--tag', 'x'],
    ['--json', '--json'],
    ['-x'],
    ['--c', 'sh'],
  ];
  for (const words of others) t.equal(readPlainFlags(words, flags), undefined, words.join(' '));
  t.end();
});

t.test('what is read without yargs is what yargs reads', async (t) => {
  const word = fc.constantFrom(
    ...[
      'a',
      'b',
      '-1',
      '-',
      'true',
      'false',
      '/x y',
      '',
      '__proto__',
      'reader',
      'thief',
      '10',
      '0x10',
      '1e3',
    ],
    ...['--root', '--json', '--from', '--role', '--dry-run', '--read', '--times', '--tag', '-c', '--c', '-h'],
    ...[
      '--no-json',
      '--no-read',
      '--no-from',
      '--no-no-read',
      '--dryRun',
      '--root=/x',
      '-cx',
      '--__proto__',
      '-jc',
    ],
  );
  let plainCount = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (words) => {
      const plain = readPlainFlags(words, flags);
      if (plain === undefined) return;
      plainCount++;
      const full = await readByYargs({ program: PRETEND, command: fetch }, { flags, words });
      deepEqual(plain.words, full.words);
      for (const [name, flag] of Object.entries(flags)) {
        // Left out, a boolean is false in the end, however it is left out.
        const standard = flag.type === 'boolean' ? false : undefined;
        deepEqual(
          plain.values[name] ?? standard,
          full.values[name] ?? standard,
          `${name} of ${words.join(' ')}`,
        );
      }
    }),
    { numRuns: 3000 },
  );
  t.ok(plainCount > 300, `${plainCount} of them are plain`);
});
