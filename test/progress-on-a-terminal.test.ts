import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { pseudoRandomBytes, writeSampleTree } from './harness/sample-tree.ts';
import { makeSealedWorld } from './harness/sealed-world.ts';
import { makeWorld, type World } from './harness/world.ts';

/** Starts what follows at a terminal of its own, and copies to standard output what that was sent. */
const TERMINAL = [
  'python3',
  '-c',
  `
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
try:
    while True:
        sys.stdout.buffer.write(os.read(terminal, 65536))
        sys.stdout.buffer.flush()
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

/** The same, but types its second word a while after its first was shown. */
const ANSWERED = [
  'python3',
  '-c',
  `
import os, pty, sys, time
question, answer, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, since = b"", None
os.set_blocking(terminal, False)
try:
    while True:
        try:
            shown += os.read(terminal, 65536)
        except BlockingIOError:
            time.sleep(0.02)
        if since is None and question in shown:
            since = time.monotonic()
        if answer and since is not None and time.monotonic() - since > 0.7:
            os.write(terminal, answer + b"\\r")
            answer = b""
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
];

const BAR = /^\[#*-*\] +\d+ % {2}/;

t.test('backup, restore and verify show at a terminal how far they are, and how long it takes', async (t) => {
  await using world = await makeWorld();
  writeSampleTree(world.source, { files: 200, maxBytes: 30_000 });
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', 4_000_000));
  await world.backup();
  for (let index = 0; index < 200; index++)
    appendFileSync(`${world.source}/folder ${Math.floor(index / 50)}/file ${index}`, 'changed');
  writeFileSync(`${world.source}/large`, pseudoRandomBytes('larger', 4_100_000));
  await world.configure({ 'limit-download': '5M', 'limit-upload': '5M' });
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

t.test('a question can be read for as long as it takes to answer it', async (t) => {
  await using world = await makeSealedWorld();
  writeSampleTree(world.source, { files: 5 });
  await world.backup();
  const to = `${world.bakker.folder}/out`;
  const key = readFileSync(world.keyFile, 'utf8').trim().split('\n').at(-1) ?? '';
  const asked = await world.expect(['restore', '--to', to], 0, {
    through: [...ANSWERED, 'Private key (', key],
  });
  t.match(asked.stdout, /Private key \([^)]*\): \r?\n/, 'nothing is drawn over it');
  writeFileSync(`${to}${world.source}/more`, 'of somebody');
  const deleted = await world.expect(['restore', '--to', to, '--delete', ...world.key], 0, {
    through: [...ANSWERED, '[y/N]', 'y'],
  });
  t.match(deleted.stdout, /\[y\/N\] y\r?\n/, 'nor over a question of yes and no');
});

t.test('what is sealed is counted alike by what is done and what is to be done', async (t) => {
  await using world = await makeSealedWorld();
  // sealed, each is several times as large
  const clearBytes = 1000 * 50;
  for (let index = 0; index < 1000; index++)
    writeFileSync(`${world.source}/${index}`, pseudoRandomBytes(`${index}`, 50));
  await world.backup();
  await world.configure({ 'limit-download': '200K' });
  const barsOf = async (args: readonly string[]) =>
    (await shownBy(world, args)).filter((line) => BAR.test(line)).join('\n');
  const restored = await barsOf(['restore', '--to', `${world.bakker.folder}/out`, ...world.key]);
  t.match(restored, / of 1,000 files {2}[0-9.]+ k?B of 50(\.0)? kB/);
  const verified = await barsOf(['verify', '--data', ...world.key]);
  const shares = [...verified.matchAll(/ ([0-9.]+) kB of ([0-9.]+) kB/g)].map(([, done, all]) => [
    Number(done) * 1000,
    Number(all) * 1000,
  ]);
  t.ok(
    shares.every(([done = 0, all = 0]) => done <= all && all > 2 * clearBytes),
    verified,
  );
  t.ok(
    shares.some(([done = 0]) => done > clearBytes),
    verified,
  );
});
