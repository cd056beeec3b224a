import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeSealedWorld } from './harness/sealed-world.ts';
import { makeWorld, type World } from './harness/world.ts';

/** Starts what follows at a terminal of its own, and copies to standard output what that was sent. */
const TERMINAL = [
  'python3',
  '-c',
  `
import fcntl, os, pty, struct, sys, termios, time
answer = os.environ.get("ANSWER")
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
try:
    while True:
        shown = os.read(terminal, 65536)
        sys.stdout.buffer.write(shown)
        sys.stdout.buffer.flush()
        if answer and b"? [y/N] " in shown:
            time.sleep(1)
            os.write(terminal, answer.encode() + b"\\n")
            answer = None
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
];

/** Every line that the terminal showed, one after the other in the same place. */
async function shownBy(world: World, args: readonly string[]): Promise<string[]> {
  const { stdout } = await world.expect(args, 0, { through: TERMINAL });
  return stdout.split(/\r\x1b\[2K|\r?\n/).filter((line) => line !== '');
}

const BAR = /^\[#*-*\] +\d+ % {2}/;

t.test('backup, restore and verify show at a terminal how far they are, and how long it takes', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 200, maxBytes: 30_000 });
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', 4_000_000));
  await world.backup();
  for (let index = 0; index < 200; index++)
    appendFileSync(`${world.source}/folder ${Math.floor(index / 50)}/file ${index}`, 'changed');
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('larger', 4_100_000));
  await world.configure({ 'limit-download': '2M', 'limit-upload': '2M' });
  const target = `${world.bakker.folder}/out`;
  for (const args of [
    ['backup', '--force'],
    ['restore', '--to', target],
    ['verify', '--data', '--from', 'latest'],
  ]) {
    const lines = await shownBy(world, args);
    const bars = lines.filter((line) => BAR.test(line));
    t.match(bars.join('\n'), /\d+ of 20\d files {2}[0-9.]+ .?B of [0-9.]+ MB/, args.join(' '));
    t.match(bars.join('\n'), /MB {2}[0-9.]+ .?B\/s {2}.*left/, `${args.join(' ')}: rate and time left`);
    t.notMatch(lines.at(-1), BAR, 'at its end the bar is gone');
  }
  const again = await shownBy(world, ['restore', '--to', target]);
  t.notMatch(again.join('\n'), /left$/m, 'what is right already counts as done');
});

t.test('what is sealed is counted alike by what is done and what is to be done', async (t) => {
  await using world = await makeSealedWorld();
  for (let index = 0; index < 100; index++)
    writeFileSync(`${world.source}/${index}`, pseudoRandomBytes(`${index}`, 1000));
  await world.backup();
  await world.configure({ 'limit-download': '64K' });
  const restore = ['restore', '--to', `${world.bakker.folder}/out`, ...world.key];
  const restored = (await shownBy(world, restore)).filter((line) => BAR.test(line));
  t.match(restored.join('\n'), / of 100 files {2}[0-9.]+ k?B of 100 kB/);
  const verified = (await shownBy(world, ['verify', '--data', ...world.key])).filter((line) =>
    BAR.test(line),
  );
  const [, done = '', all = ''] = / ([0-9.]+) kB of ([0-9.]+) kB/.exec(verified.at(-1) ?? '') ?? [];
  t.ok(Number(done) > 0.9 * Number(all), verified.join('\n'));
});

t.test('a question stays on the terminal until it is answered', async (t) => {
  await using world = await makeWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'file');
  await world.backup();
  writeFileSync(`${world.source}/extra`, 'extra');
  const { stdout } = await world.expect(['restore', '--in-place', '--delete'], 0, {
    through: TERMINAL,
    env: { ANSWER: 'y' },
  });
  const [, asked = ''] = stdout.split('? [y/N] ');
  t.match(asked, /^y\r?\n/, 'nothing was written over it');
  t.notOk(existsSync(`${world.source}/extra`));
});
