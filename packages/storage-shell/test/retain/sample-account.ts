import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';

/** A folder with accounts in it, removed after the test. */
export function makeRoot(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'bakker-retain-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

export interface NewRun {
  /** Content by path; `null` links the parent's file of that path. */
  readonly files: Readonly<Record<string, string | Buffer | null>>;
  readonly parent?: string;
  /** Undefined for a receipt that the storage did not stamp; null for no receipt. */
  readonly receivedAtMs?: number | null;
  readonly status?: 'complete' | 'partial';
  /** What the server says, and nobody should believe. */
  readonly finishedAtMs?: number;
}

/** An account as sessions leave it, made by plain calls. */
export class SampleAccount {
  readonly folder: string;
  readonly name: string;

  constructor(root: string, name = 'server1') {
    this.name = name;
    this.folder = join(root, name);
    mkdirSync(join(this.folder, '.bakker/receipts'), { recursive: true });
    mkdirSync(join(this.folder, '.bakker/trash'));
  }

  publish(run: string, { files, parent, receivedAtMs, status = 'complete', finishedAtMs = 0 }: NewRun): void {
    const incomplete = join(this.folder, `${run}.incomplete`);
    mkdirSync(incomplete);
    for (const [path, content] of Object.entries(files)) {
      const target = join(incomplete, path);
      mkdirSync(dirname(target), { recursive: true });
      if (content === null) linkSync(join(this.folder, parent ?? '', path), target);
      else {
        writeFileSync(target, content);
        chmodSync(target, 0o400);
      }
    }
    const manifest = Buffer.from(`manifest of ${run}, made ${new Date(finishedAtMs).toISOString()}\n`);
    writeFileSync(join(this.folder, `${run}.impl`), manifest);
    if (receivedAtMs !== null) {
      const manifestSha256 = createHash('sha256').update(manifest).digest('hex');
      const receipt = { run, status, finishedAtMs, startedAtMs: finishedAtMs, manifestSha256, receivedAtMs };
      writeFileSync(join(this.folder, `.bakker/receipts/${run}.json`), JSON.stringify(receipt));
    }
    renameSync(incomplete, join(this.folder, run));
    rmSync(join(this.folder, 'latest'), { force: true });
    symlinkSync(run, join(this.folder, 'latest'));
  }

  policy(text: string): void {
    writeFileSync(join(this.folder, '.bakker/account.yaml'), text);
  }

  /** Names of complete runs, sorted. */
  runs(): string[] {
    return readdirSync(this.folder)
      .filter((name) => /^\d{4}_\d\d_\d\d_\d+$/.test(name))
      .sort();
  }

  latest(): string {
    return readlinkSync(join(this.folder, 'latest'));
  }

  /** What may not change: every name outside of the trash with inode, mode, and content. */
  snapshot(): string[] {
    return listAll(this.folder)
      .filter((path) => !path.startsWith('.bakker/trash/'))
      .map((path) => describe(this.folder, path));
  }

  trash(): string[] {
    return readdirSync(join(this.folder, '.bakker/trash')).sort();
  }
}

/** Blocks of everything below, each inode once, counted by plain calls. */
export function diskUse(folder: string): number {
  const seen = new Map<number, number>();
  for (const path of ['.', ...listAll(folder)]) {
    const { ino, blocks } = lstatSync(join(folder, path));
    seen.set(ino, blocks * 512);
  }
  return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function listAll(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

function describe(folder: string, path: string): string {
  const stat = lstatSync(join(folder, path));
  const what = stat.isSymbolicLink()
    ? readlinkSync(join(folder, path))
    : stat.isFile()
      ? readFileSync(join(folder, path), 'latin1')
      : 'folder';
  return `${path} ${stat.ino} ${stat.mode.toString(8)} ${what}`;
}
