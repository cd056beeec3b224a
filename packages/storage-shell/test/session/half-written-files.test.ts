import { VERB } from '@bakker/impl-format';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { Shell, string, temporaryRoot } from './shell-client.ts';

const PIECE = Buffer.alloc(200 * 1024, 7);

t.test(
  'a file that is still being written gets no second name, which would outlive its discarding',
  async (t) => {
    using root = temporaryRoot('half-written');
    mkdirSync(`${root.account}/.bakker`);
    writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 4M\n');
    await using shell = await Shell.open({ root: root.path });
    const { run, token } = await shell.begin();
    const folder = `${root.account}/${run}.incomplete`;
    const link = (to: string, from: string) =>
      shell.tree((script) => script.link(Buffer.from(to), token, Buffer.from(from)));
    // More than the limit in all, if each were kept by a name of its own.
    for (let round = 0; round < 5; round++) {
      const handle = await shell.create('file');
      for (let index = 0; index < 10; index++) await shell.write(handle, index * PIECE.length, PIECE);
      t.same(await link(`kept-${round}`, 'file'), [{ operation: 0, reason: 'absent' }]);
      await shell.verb(VERB.discard, string(handle));
      t.notOk(existsSync(`${folder}/kept-${round}`));
    }
    const takenBytes = Number(execFileSync('du', ['-s', '-B1', root.account]).toString().split('\t')[0]);
    t.ok(takenBytes < 4 << 20, `${takenBytes} bytes`);

    const handle = await shell.create('file');
    await shell.write(handle, 0, PIECE);
    await shell.finish(handle, PIECE.length);
    t.same(await link('other', 'file'), [], 'once it is finished, it may have many');
    t.equal(statSync(`${folder}/other`).ino, statSync(`${folder}/file`).ino);
    await shell.publish({ files: 2, bytes: 2 * PIECE.length });
    t.ok(readFileSync(`${root.account}/${run}/other`).equals(PIECE));
  },
);
