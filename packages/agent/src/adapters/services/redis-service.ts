import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService } from '../../ports/services.ts';
import { run } from './child.ts';
import { readSecret } from './secrets.ts';

const LOOK_AGAIN_MS = 50;

type Ask = (words: readonly string[]) => Promise<string>;

/** Redis writes its data set to its file; nothing stands still, and the snapshot has the file. */
export function prepareRedis({ by, login }: RedisSettings): PreparedService {
  const { user, login: account, password, socket, host, port } = login;
  const env = password === undefined ? {} : { REDISCLI_AUTH: readSecret(password) };
  const argv = [
    'redis-cli',
    ...(socket === undefined ? [] : ['-s', socket]),
    ...(host === undefined ? [] : ['-h', host]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(account === undefined ? [] : ['--user', account]),
  ];
  return {
    undo: undefined,
    standsStill: false,
    enter: async ({ signal }) => {
      const ask: Ask = async (words) => {
        const { stdout } = await run({ argv: [...argv, ...words], user, env, signal });
        return stdout.trim();
      };
      if (by === 'save') expect(await ask(['SAVE']), /^OK$/);
      else await saveInBackground(ask, signal);
    },
    leave: () => Promise.resolve(),
    files: () => [],
  };
}

/** A save that runs already may have begun long ago: ours comes after it. */
async function saveInBackground(ask: Ask, signal: AbortSignal): Promise<void> {
  await savingEnds(ask, signal);
  expect(await ask(['BGSAVE']), /^Background saving started$/);
  const facts = await savingEnds(ask, signal);
  if (!facts.includes('rdb_last_bgsave_status:ok')) {
    throw new AgentError('QUIESCE_FAILED', 'redis could not save its data', { hint: "see the server's log" });
  }
}

async function savingEnds(ask: Ask, signal: AbortSignal): Promise<readonly string[]> {
  for (;;) {
    const answer = await ask(['INFO', 'persistence']);
    const facts = answer.split(/\r?\n/);
    if (facts.includes('rdb_bgsave_in_progress:0') && facts.includes('aof_rewrite_in_progress:0'))
      return facts;
    if (!answer.includes('rdb_bgsave_in_progress:')) expect(answer, /^never$/);
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

function expect(answer: string, wanted: RegExp): void {
  if (wanted.test(answer)) return;
  throw new AgentError('QUIESCE_FAILED', `redis-cli: ${answer.slice(0, 500) || 'no answer'}`);
}
