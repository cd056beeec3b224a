import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';

const SERVER = join(import.meta.dirname, 'file-server.ts');

/** Runs Debian's `sftp` with a batch, its server being ours; gives what it printed. */
function sftp(t: Test, folder: string, lines: string[]): string {
  fs.writeFileSync(`${folder}.batch`, `${lines.join('\n')}\n`);
  const server = `${process.execPath} --disable-warning=ExperimentalWarning ${SERVER}`;
  const { status, stdout, stderr } = spawnSync('/usr/bin/sftp', ['-b', `${folder}.batch`, '-D', server], {
    cwd: folder,
    timeout: 60_000,
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  return stdout;
}

function newFolder(t: Test): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'bakker-sftp-'));
  t.teardown(() => {
    fs.rmSync(folder, { recursive: true });
    fs.rmSync(`${folder}.batch`, { force: true });
  });
  return folder;
}

t.test("OpenSSH's client puts and gets files of all sizes", (t) => {
  const folder = newFolder(t);
  fs.mkdirSync(`${folder}/there`);
  const sizes = [0, 1, 4096, 261_120, 5_000_000];
  for (const size of sizes) fs.writeFileSync(`${folder}/${size}`, randomBytes(size));
  sftp(t, folder, [
    ...sizes.map((size) => `put ${size} there/${size}`),
    ...sizes.map((size) => `get there/${size} back-${size}`),
  ]);
  for (const size of sizes) {
    const original = fs.readFileSync(`${folder}/${size}`);
    t.ok(fs.readFileSync(`${folder}/there/${size}`).equals(original), `${size} bytes put`);
    t.ok(fs.readFileSync(`${folder}/back-${size}`).equals(original), `${size} bytes got`);
  }
  t.end();
});

t.test("OpenSSH's client puts a tree and gets it back with its modes and times", (t) => {
  const folder = newFolder(t);
  fs.mkdirSync(`${folder}/tree/deep/er`, { recursive: true });
  for (let index = 0; index < 250; index++)
    fs.writeFileSync(`${folder}/tree/deep/f${index}`, `content ${index}`);
  fs.writeFileSync(`${folder}/tree/deep/er/run`, '#!/bin/sh\n', { mode: 0o755 });
  fs.utimesSync(`${folder}/tree/deep/er/run`, 1e9, 1e9);
  fs.mkdirSync(`${folder}/there`);
  sftp(t, folder, ['put -pr tree there/', 'get -pr there/tree back']);
  const { status, stdout } = spawnSync('diff', ['-r', `${folder}/tree`, `${folder}/back`], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stdout);
  const back = fs.statSync(`${folder}/back/deep/er/run`);
  t.equal(back.mode & 0o777, 0o755);
  t.equal(back.mtimeMs, 1e12);
  t.end();
});

t.test("OpenSSH's client lists, links, renames, removes and asks for space", (t) => {
  const folder = newFolder(t);
  fs.writeFileSync(`${folder}/one`, 'one');
  fs.chmodSync(`${folder}/one`, 0o640);
  fs.utimesSync(`${folder}/one`, 1713409872, 1713409872);
  const printed = sftp(t, folder, [
    'pwd',
    'ls -l one',
    'ln one hard',
    'ln -s one soft',
    'rename hard other',
    'mkdir dir',
    'mkdir gone',
    'rmdir gone',
    'chmod 600 other',
    'cp one copy',
    'ls -la',
    'df',
    'rm soft',
    '-ls none',
  ]);
  t.match(printed, `Remote working directory: ${fs.realpathSync(folder)}`);
  t.match(printed, /^-rw------- +2 \d+ +\d+ +3 2024-04-18 03:11 one$/m);
  t.match(printed, /^lrwxrwxrwx .* soft$/m);
  t.match(printed, /^d[rwxt-]{9} .* \.\.$/m);
  t.match(printed, /^ +\d+ +\d+ +\d+ +\d+ +\d+%$/m);
  t.strictSame(fs.readdirSync(folder).sort(), ['copy', 'dir', 'one', 'other']);
  t.equal(fs.statSync(`${folder}/other`).ino, fs.statSync(`${folder}/one`).ino);
  t.equal(fs.statSync(`${folder}/one`).mode & 0o777, 0o600);
  t.equal(fs.readFileSync(`${folder}/copy`, 'utf8'), 'one');
  t.end();
});
