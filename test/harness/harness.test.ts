import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { compareTrees } from './compare-trees.ts';
import { mountLoopFilesystem } from './loop-fs.ts';
import { runTool } from './processes.ts';
import { startProxy } from './proxy.ts';
import { makeTempFolder } from './temp-folder.ts';
import { makeTortureTree } from './torture-tree.ts';

t.test('the comparer finds a torture tree equal to its copy, and every single change in it', async (t) => {
  await using temp = await makeTempFolder('harness');
  const [left, right] = [`${temp.path}/left`, `${temp.path}/right`];
  mkdirSync(left);
  await makeTortureTree(left);
  // Not by rsync: it sends folders without their nanoseconds.
  await runTool('cp', ['-a', left, right]);
  t.same(await compareTrees(left, right), []);
  const changes: readonly (readonly [string, string])[] = [
    [
      'content',
      'printf X | dd of="contents/4096 bytes" conv=notrunc status=none; touch -r "../left/contents/4096 bytes" "contents/4096 bytes"',
    ],
    ['mode', 'chmod u-s "modes/file 4755"'],
    ['owner', 'chown 1 "modes/file 0644"'],
    ['ns time', 'touch -h -d @1.999999998 "times/symlink 1.999999999"'],
    ['time of a folder', 'touch -d @5 "times/folder 0"'],
    ['ACL', 'setfacl -x u:daemon "attributes/mask"'],
    ['xattr', 'setfattr -x user.empty "attributes/xattrs"'],
    ['capability', 'setcap -r attributes/capability'],
    [
      'link group',
      'cp -p links/first/a x; touch -r links/first y; rm links/first/a; mv x links/first/a; touch -r y links/first; rm y; touch -r ../left .',
    ],
    [
      'device',
      'rm special/null; mknod -m 640 special/null c 1 5; touch -h -d @1234567890.987654321 special/null special',
    ],
    [
      'hole',
      'cp --sparse=never -p "sparse/only hole" x; cat x > "sparse/only hole"; rm x; touch -r "../left/sparse/only hole" "sparse/only hole"; touch -r ../left .',
    ],
    ['removed', 'rm "contents/1 bytes"; touch -r ../left/contents contents'],
    ['added', 'touch contents/new; touch -r ../left/contents contents'],
  ];
  for (const [name, change] of changes) {
    await runTool('sh', ['-c', `cd "$1" && ${change}`, 'sh', right]);
    t.not((await compareTrees(left, right)).length, 0, name);
    await runTool('rm', ['-rf', right]);
    await runTool('cp', ['-a', left, right]);
    t.same(await compareTrees(left, right), [], `${name}, mended`);
  }
});

t.test('a loop file system is as small as asked and goes away', async (t) => {
  let folder;
  {
    await using loop = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16 << 20 });
    folder = loop.folder;
    t.throws(
      () => {
        writeFileSync(`${loop.folder}/big`, Buffer.alloc(20 << 20));
      },
      { code: 'ENOSPC' },
    );
    t.match(readFileSync('/proc/mounts', 'utf8'), folder);
  }
  t.notMatch(readFileSync('/proc/mounts', 'utf8'), folder);
});

t.test('the proxy passes on, counts, delays and cuts', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  {
    await using proxy = await startProxy({ targetPort: address.port, delayMs: 25 });
    const startedMs = performance.now();
    t.equal(await echo(proxy.port, 'hello'), 'hello');
    t.ok(performance.now() - startedMs >= 49, 'a round trip takes both delays');
    t.equal(proxy.sentBytes(), 5);
    t.equal(proxy.receivedBytes(), 5);
    proxy.cutAfterBytes(3);
    await t.rejects(echo(proxy.port, 'again'), { code: 'ECONNRESET' });
    t.equal(await echo(proxy.port, 'after'), 'after');
  }
  await new Promise((resolve) => server.close(resolve));
});

function echo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    let heard = '';
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      heard += bytes.toString();
      if (heard.length >= text.length) socket.end();
    });
    socket.on('close', () => {
      resolve(heard);
    });
    socket.write(text);
  });
}
