import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LocalFileStore } from '../../src/adapters/plain/local-file-store.ts';
import { PlainAccount } from '../../src/adapters/plain/plain-account.ts';
import t from 'tap';
import { mountThinDisk } from '../../../../test/harness/thin-disk.ts';
import { NOW_MS, checkAccountContract, publish, publishedRun } from './account-contract.ts';

checkAccountContract('a local account', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-local-'));
  return {
    folder,
    open: async () => new PlainAccount(new LocalFileStore(folder)),
    [Symbol.asyncDispose]: async () => fs.rmSync(folder, { recursive: true }),
  };
});

t.test(
  'a run that the disk did not take is not published by a second try, and nothing is linked from it',
  async (t) => {
    await using disk = await mountThinDisk();
    fs.mkdirSync(`${disk.folder}/account`);
    const open = () => new PlainAccount(new LocalFileStore(`${disk.folder}/account`));
    const about = { mtimeS: 0, executable: false, flush: false };
    const file = Buffer.from('file');
    const tokens: string[] = [];
    {
      await using session = open();
      await publishedRun(session, { kept: 'the past' });
      await using writer = await session.begin({ nowMs: NOW_MS });
      tokens.push(writer.folder);
      await writer.file(file, Buffer.from('content'), about);
    }
    {
      await using session = open();
      await using writer = await session.begin({ nowMs: NOW_MS });
      t.same(writer.carriedFolders, tokens);
      tokens.push(writer.folder);
      const large = Buffer.alloc(8_000_000, 7);
      disk.exhaust();
      await writer.file(file, large, about);
      const objects = { files: 1, bytes: large.length };
      await t.rejects(publish(writer, 'm', objects), /ENOSPC|EIO|full/);
      // Somebody else is told, too, and then a new opening is told of nothing.
      spawnSync('sync', ['-f', disk.folder]);
      disk.relieve();
      await t.rejects(publish(writer, 'm', objects), /ENOSPC|EIO|full/);
    }
    await using session = open();
    await using writer = await session.begin({ nowMs: NOW_MS });
    t.equal(writer.carriedFolders.length, 2, 'carried only to be removed');
    t.notOk(tokens.some((token) => writer.carriedFolders.includes(token)));
    t.equal((await session.listRuns()).filter(({ state }) => state === 'complete').length, 1);
  },
);
