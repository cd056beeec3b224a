import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeWorld, type World, type WorldOptions } from './world.ts';

const PYTHON = '/usr/bin/python3';
const UNSEAL = resolve(import.meta.dirname, '../../scripts/unseal.py');

/** A world whose runs are sealed to one key, which lies outside of all that the server has. */
export interface SealedWorld extends World {
  /** `--identity-key` and the file: for commands that read. */
  readonly key: readonly string[];
  readonly keyFile: string;
  /** Restores everything with the key. @returns where the source lies in it */
  restoreSealed(from?: string): Promise<string>;
  /** Makes another key pair. @returns its file, and the public key */
  makeKey(name: string): Promise<{ readonly file: string; readonly publicKey: string }>;
  /** Restores the contents of a run by the other decoder. @returns where the source lies in it */
  unsealRun(run: string): string;
  /** The lines of a manifest, by the other decoder. */
  unsealManifest(run: string): Record<string, unknown>[];
}

export interface SealedOptions extends WorldOptions {
  readonly hideNames?: boolean;
}

export async function makeSealedWorld({
  hideNames = false,
  ...options
}: SealedOptions = {}): Promise<SealedWorld> {
  const config = { ...options.config, encrypt: { 'hide-names': hideNames } };
  await using made = new AsyncDisposableStack();
  const world = made.use(await makeWorld({ ...options, config }));
  const keys = `${world.bakker.folder}/elsewhere`;
  mkdirSync(keys);
  const makeKey: SealedWorld['makeKey'] = async (name) => {
    const file = `${keys}/${name}`;
    const { stdout } = await world.expect(['key', 'generate', '--out', file]);
    return { file, publicKey: stdout.trim().split('\n').at(-1) ?? '' };
  };
  const { file: keyFile, publicKey } = await makeKey('my.key');
  await world.expect(['key', 'add', publicKey, '--name', 'mine']);
  const key = ['--identity-key', keyFile];
  let unsealed = 0;
  const kept = made.move();
  return {
    ...world,
    key,
    keyFile,
    makeKey,
    restoreSealed: (from = 'latest') => world.restore(from, key),
    unsealRun(run) {
      unsealed += 1;
      const to = `${world.bakker.folder}/u${unsealed}`;
      unseal(keyFile, 'run', world.storage, run, to);
      return `${to}${world.source}`;
    },
    unsealManifest(run) {
      const text = unseal(keyFile, 'manifest', `${world.storage}/${run}.impl`);
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Runs the second decoder. @returns standard output */
export function unseal(...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(PYTHON, [UNSEAL, ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  if (status === 0) return stdout;
  throw new Error(`unseal.py ${words.join(' ')}: status ${status}\n${stderr}`);
}

/** Changes a file of a run on the storage's disk, as its administrator could. */
export function tamper(file: string, change: (bytes: Buffer) => Buffer): void {
  spawnSync('chmod', ['u+w', file]);
  writeFileSync(file, change(readFileSync(file)));
}
