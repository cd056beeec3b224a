import t from 'tap';
import type { Program } from '../src/program.ts';
import { typedHere } from '../src/typed-here.ts';
import { PRETEND, PRETEND_COMMANDS } from './pretend-program.ts';
import type { PretendGlobals } from './pretend-program.ts';

const PLACED: Program<PretendGlobals> = {
  ...PRETEND,
  placeFlags: ({ rootDir }) => (rootDir === '/root' ? '' : `--root ${rootDir}`),
};
const elsewhere = typedHere(PLACED, PRETEND_COMMANDS, { rootDir: '/other', json: false });

t.test('commands in a text get the flags of the places that the program was called with', (t) => {
  t.equal(
    elsewhere('run pretend fetch a, or pretend send'),
    'run pretend --root /other fetch a, or pretend --root /other send',
  );
  t.equal(elsewhere('/usr/bin/pretend send'), '/usr/bin/pretend --root /other send');
  t.end();
});

t.test('what is no command of the program, or says the places already, stays', (t) => {
  for (const text of [
    'pretend was moved',
    'pretend-more fetch a',
    'a-pretend fetch a',
    'pretend fetching',
    'pretend fetch a --root /other',
  ])
    t.equal(elsewhere(text), text);
  t.end();
});

t.test('the usual places need no flags', (t) => {
  const usual = typedHere(PLACED, PRETEND_COMMANDS, { rootDir: '/root', json: false });
  t.equal(usual('run pretend fetch a'), 'run pretend fetch a');
  t.equal(
    typedHere(PRETEND, PRETEND_COMMANDS, { rootDir: '/other', json: false })('pretend send'),
    'pretend send',
  );
  t.end();
});
