import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Handle } from '@bakker/sftp';
import { EarlyFsync, type Flusher } from '../../src/adapters/plain/early-fsync.ts';

const MIB = 2 ** 20;
const PATH = Buffer.from('run/large');

/** Notes what it is asked for; a flush ends when `end` is called. */
class NotingChannel implements Flusher {
  readonly asked: string[] = [];
  end: () => void = () => undefined;
  refusal: Error | undefined;

  open(path: Buffer): Promise<Handle> {
    this.asked.push(`open ${path.toString()}`);
    return this.refusal ? Promise.reject(this.refusal) : Promise.resolve({ bytes: Buffer.from('h'), path });
  }

  fsync({ bytes }: Handle): Promise<void> {
    this.asked.push(`fsync ${bytes.toString()}`);
    return new Promise((resolve) => (this.end = resolve));
  }

  close({ bytes }: Handle): Promise<void> {
    this.asked.push(`close ${bytes.toString()}`);
    return Promise.resolve();
  }
}

const ONCE = ['open run/large', 'fsync h', 'close h'];

t.test('much of a file is flushed while more is written, one flush at a time', async (t) => {
  const channel = new NotingChannel();
  const early = new EarlyFsync(PATH, () => channel);
  early.wrote(63 * MIB);
  t.same(channel.asked, []);
  early.wrote(MIB);
  early.wrote(500 * MIB);
  await turn();
  early.wrote(500 * MIB);
  t.same(channel.asked, ONCE);
  channel.end();
  await turn();
  early.wrote(1);
  await turn();
  t.same(channel.asked, [...ONCE, ...ONCE], 'what came meanwhile counts');
});

t.test('what fails is left to the flush at the end, and tried again', async (t) => {
  const channel = new NotingChannel();
  channel.refusal = new Error('there is no such file');
  const early = new EarlyFsync(PATH, () => channel);
  early.wrote(64 * MIB);
  await turn();
  early.wrote(64 * MIB);
  await turn();
  t.same(channel.asked, ['open run/large', 'open run/large']);
});

t.test('without another channel nothing is flushed early', (t) => {
  let asked = 0;
  const early = new EarlyFsync(PATH, () => {
    asked++;
    return undefined;
  });
  early.wrote(100 * MIB);
  t.equal(asked, 1);
  t.end();
});
