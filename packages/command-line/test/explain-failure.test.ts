import t from 'tap';
import { explainFailure } from '../src/explain-failure.ts';
import { PretendError } from './pretend-program.ts';

const calm = { program: 'pretend', signal: new AbortController().signal, isDebugging: false };

t.test('a failure is a line with what and why, and a line with the next move', (t) => {
  const error = new PretendError('FULL', 'a:/b is full', { hint: 'make room' });
  t.strictSame(explainFailure(error, calm), { exitStatus: 13, text: 'pretend: a:/b is full\n  make room' });
  t.strictSame(explainFailure(new PretendError('FAILED', 'locked'), calm), {
    exitStatus: 1,
    text: 'pretend: locked',
  });
  t.end();
});

t.test('when cleaning up fails as well, the first failure is the one reported', (t) => {
  const first = new PretendError('FULL', 'the line was cut');
  const second = new SuppressedError(new Error('close failed'), first);
  const third = new SuppressedError(new Error('unlock failed'), second);
  t.strictSame(explainFailure(third, calm), { exitStatus: 13, text: 'pretend: the line was cut' });
  t.end();
});

t.test('whatever fails after a signal failed because of it', (t) => {
  const stop = new AbortController();
  stop.abort(new PretendError('INTERRUPTED', 'interrupted by SIGINT'));
  const options = { program: 'pretend', signal: stop.signal, isDebugging: false };
  for (const error of [
    new PretendError('FULL', 'the line was cut'),
    new DOMException('aborted', 'AbortError'),
    stop.signal.reason,
  ]) {
    t.strictSame(explainFailure(error, options), { exitStatus: 130, text: 'pretend: interrupted by SIGINT' });
  }
  t.end();
});

t.test('names can not forge lines, but a configuration keeps its list', (t) => {
  const forged = new PretendError('FAILED', 'no a\npretend: all is well\x1b[2K');
  t.equal(explainFailure(forged, calm).text, 'pretend: no a\\npretend: all is well\\x1b[2K');
  const config = new PretendError('CONFIG_INVALID', 'two problems:\n  line 1: \x1b\n  line 2');
  t.equal(explainFailure(config, calm).text, 'pretend: two problems:\n  line 1: \\x1b\n  line 2');
  t.end();
});

t.test('a fault of bakker itself shows its stack only when asked', (t) => {
  const fault = new TypeError('x is undefined', { cause: new Error('deeper') });
  const quiet = explainFailure(fault, calm);
  t.equal(quiet.exitStatus, 1);
  t.match(quiet.text, /^pretend: unexpected TypeError: x is undefined\n {2}.*BAKKER_DEBUG=1/);
  t.notMatch(quiet.text, /explain-failure\.test/);
  const loud = explainFailure(fault, { ...calm, isDebugging: true });
  t.match(loud.text, /explain-failure\.test[^]*caused by Error: deeper/);
  t.match(explainFailure('thrown text', calm).text, /unexpected thrown text/);
  t.end();
});
