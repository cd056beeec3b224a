import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { LocalFileStore } from '../../src/adapters/plain/local-file-store.ts';
import { PlainAccount } from '../../src/adapters/plain/plain-account.ts';
import { Transfer } from '../../src/backup/transfer.ts';
import { scan, source } from '../source/tree.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 16 * MIB;

for (const changes of ['while it is read the first time', 'whenever it is read'] as const) {
  t.test(
    `a large file that changes ${changes}, on the storage's own file system, is stored as it is described`,
    async (t) => {
      await using disk = await mountLoopFilesystem({
        type: 'xfs',
        sizeBytes: 400 * MIB,
        mkfsArgs: ['-m', 'reflink=1'],
      });
      const [data, storage] = [`${disk.folder}/data`, `${disk.folder}/storage`];
      for (const folder of [data, storage]) fs.mkdirSync(folder);
      const path = `${data}/image`;
      fs.writeFileSync(path, randomBytes(SIZE_BYTES));
      const scanned = await scan([source(data)]);
      const { tree } = scanned;
      await using account = new PlainAccount(new LocalFileStore(storage));
      await using writer = await account.begin({ nowMs: Date.UTC(2026, 0, 1) });
      await using reader = tree.openReader();
      const transfer = new Transfer({ writer, source: tree, reader, onProblem: () => undefined });
      const parts = data.slice(1).split('/');
      for (let count = 1; count <= parts.length; count++)
        await writer.directory(Buffer.from(parts.slice(0, count).join('/')));

      let read = 0;
      const file = fs.openSync(path, 'r+');
      const changesAgain = (): boolean => changes === 'whenever it is read' || read < SIZE_BYTES;
      const sent = await transfer.sendLarge(scanned.entry(path), undefined, (bytes) => {
        // behind what was read, and before it: both must not be told otherwise than they are stored
        if (changesAgain())
          for (const at of [MIB, SIZE_BYTES - MIB]) fs.writeSync(file, randomBytes(4096), 0, 4096, at);
        read += bytes;
      });
      fs.closeSync(file);

      t.equal(read, 2 * SIZE_BYTES, 'it was read again');
      const stored = fs.readFileSync(`${storage}/${writer.run}.incomplete/${sent.place.path.toString()}`);
      t.equal(sent.entry.sha256.toString('hex'), createHash('sha256').update(stored).digest('hex'));
    },
  );
}
