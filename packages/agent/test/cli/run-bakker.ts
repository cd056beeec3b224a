import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The launcher of the built program. */
export const BAKKER = new URL('../../bin/bakker', import.meta.url).pathname;

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built program. */
export function runBakker(words: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
  const { status, stdout, stderr } = spawnSync(BAKKER, words, {
    encoding: 'utf8',
    env: { ...process.env, BAKKER_DEBUG: '', ...env },
  });
  return { status, stdout, stderr };
}

/** A folder with a source, a local account and a configuration for them; gone when disposed. */
export interface Bench extends Disposable {
  readonly folder: string;
  readonly source: string;
  readonly account: string;
  readonly configFile: string;
  readonly stateDir: string;
  run(...words: string[]): Ended;
}

export function makeBench(config = ''): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-cli-'));
  const source = join(folder, 'source');
  const account = join(folder, 'account');
  const configFile = join(folder, 'bakker.yaml');
  const stateDir = join(folder, 'state');
  mkdirSync(source);
  mkdirSync(account);
  writeFileSync(join(source, 'file'), 'content');
  writeFileSync(configFile, `account: ${account}\nsources: [${source}]\ninterval: 0\n${config}`);
  return {
    folder,
    source,
    account,
    configFile,
    stateDir,
    run: (...words) => runBakker([...words, '--config', configFile, '--state', stateDir]),
    [Symbol.dispose]: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
