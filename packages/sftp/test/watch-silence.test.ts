import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { greeted, packetsOf, status, turn } from './hand-made-server.ts';

const PATH = Buffer.from('file');

// as a socket would: the watch itself keeps no process from ending
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

t.test('a server that owes an answer and says nothing is given up, and all that wait are told', async (t) => {
  const { client } = await greeted({ silenceMs: 80 });
  const asked = [client.remove(PATH), client.remove(PATH)];
  for (const answer of asked)
    await t.rejects(answer, {
      name: 'SftpConnectionError',
      message: 'the server left 2 requests unanswered for 0.08 s',
    });
  await t.rejects(client.remove(PATH), { name: 'SftpConnectionError' });
});

t.test(
  'a server that is asked nothing may be silent, and one that says something owes nothing',
  async (t) => {
    const { server, client } = await greeted({ silenceMs: 400 });
    await delay(600);
    t.equal(client.failure, undefined, 'idle');
    const slow = client.remove(PATH);
    for (let index = 0; index < 6; index++) {
      const other = client.remove(PATH);
      await turn();
      server.push(status(packetsOf(server.received.subarray(9)).at(-1)?.id ?? -1, 0));
      await other;
      await delay(150);
    }
    server.push(status(packetsOf(server.received.subarray(9))[0]?.id ?? -1, 0));
    t.equal(await slow, undefined, 'answered after longer than the time');
  },
);
