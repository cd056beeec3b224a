import t from 'tap';
import type { Handle } from '@bakker/sftp';
import { flushByPath } from '../../src/adapters/plain/flush-by-path.ts';

const PATH = Buffer.from('run/large');
const HANDLE: Handle = { bytes: Buffer.from('h'), path: PATH };

/** A channel that notes what it is asked for, and refuses one kind of request. */
function channel(asked: string[], refused?: string) {
  const answer = <Value>(name: string, value: Value): Promise<Value> => {
    asked.push(name);
    return name === refused ? Promise.reject(new Error(`${name} is refused`)) : Promise.resolve(value);
  };
  return {
    open: (path: Buffer) => answer(`open ${path.toString()}`, HANDLE),
    fsync: ({ bytes }: Handle) => answer(`fsync ${bytes.toString()}`, undefined),
    close: ({ bytes }: Handle) => answer(`close ${bytes.toString()}`, undefined),
  };
}

t.test('a file is opened, flushed and closed, without waiting between the last two', async (t) => {
  const asked: string[] = [];
  await flushByPath(channel(asked), PATH);
  t.same(asked, ['open run/large', 'fsync h', 'close h']);
});

t.test('whatever is refused is left to the flush at the end, and no handle stays', async (t) => {
  for (const [refused, count] of [
    ['open run/large', 1],
    ['fsync h', 3],
    ['close h', 3],
  ] as const) {
    const asked: string[] = [];
    await flushByPath(channel(asked, refused), PATH);
    t.equal(asked.length, count, refused);
  }
});
