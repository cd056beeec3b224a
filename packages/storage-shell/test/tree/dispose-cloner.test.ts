import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cloneWorld } from './clone-world.ts';

for (const processors of [1, 4])
  t.test(
    `disposing in the middle stops at once, and nothing is made after it: ${processors} processors`,
    async (t) => {
      // where this thread has to wait for a processor, the others may be done with a small tree
      for (let folders = 300; ; folders *= 2) {
        await using world = cloneWorld({}, { folder: '/dev/shm', processors });
        for (let i = 0; i < folders; i++) {
          mkdirSync(join(world.parent, `folder-${i}`));
          for (let j = 0; j < 20; j++) writeFileSync(join(world.parent, `folder-${i}/${j}`), '');
        }
        const applied = world.apply([{ kind: 'keep-rest' }]).catch((error: unknown) => error);
        while (!existsSync(join(world.run, 'folder-1')))
          await new Promise((resolve) => setImmediate(resolve));
        await world.cloner[Symbol.asyncDispose]();
        const before = world.tree('run').size;
        const result = await applied;
        await new Promise((resolve) => setTimeout(resolve, 50));
        t.equal(world.tree('run').size, before);
        if (before === folders * 21) continue;
        t.match(result, { code: 'INTERRUPTED' });
        break;
      }
    },
  );

t.test('disposing while the threads start ends them without harm', async (t) => {
  for (let waitMs = 0; waitMs < 60; waitMs += 12) {
    await using world = cloneWorld({ 'a/b': 'c', 'd/e/f': 'g' }, { processors: 4 });
    const applied = world.apply([{ kind: 'keep-rest' }]).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await world.cloner[Symbol.asyncDispose]();
    const result = await applied;
    t.ok(
      Array.isArray(result) || (result instanceof Error && 'code' in result && result.code === 'INTERRUPTED'),
    );
  }
});
