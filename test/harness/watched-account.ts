import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { compareTrees } from './compare-trees.ts';
import { changeAtRandom } from './random-changes.ts';
import { RandomTree, tool } from './random-tree.ts';
import { makeSealedWorld } from './sealed-world.ts';
import { administer } from './shell-account.ts';
import { completeRuns, findBrokenPromises, fingerprintRuns } from './storage-check.ts';
import { makeWorld, type StorageKind, type World } from './world.ts';

export interface WatchedOptions {
  readonly kind: StorageKind;
  readonly sealed?: boolean;
  readonly hideNames?: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  /** The tree that is backed up. */
  readonly root: string;
  readonly storageOn: string;
  /** An empty folder to restore to: on a file system that names attributes as that of the tree. */
  readonly restoreTo: string;
  readonly random: () => number;
}

const RETENTION = { days: 0, instances: 3, months: 0, years: 0 };
/** About what a run takes: kills come before and after the publish. */
const RUN_MS = 1500;

/** An account of which it is known what each run must hold, and to which by lot happens what may happen. */
export class WatchedAccount implements AsyncDisposable {
  readonly #options: WatchedOptions;
  readonly #world: World;
  readonly #key: readonly string[];
  readonly #linesOf: ((file: string) => Record<string, unknown>[]) | undefined;
  /** By run: a copy of what was backed up. */
  readonly #expected = new Map<string, string>();
  readonly #dice: RandomTree;
  #prints = new Map<string, string>();

  static async make(options: WatchedOptions): Promise<WatchedAccount> {
    const { kind, config, storageOn, hideNames = false } = options;
    const guards = { 'freeze-when-gone': '100%', 'freeze-when-changed': '100%' };
    const how = { kind, storageOn, config: { ...guards, retention: RETENTION, ...config } };
    if (options.sealed !== true) return new WatchedAccount(options, await makeWorld(how), []);
    const world = await makeSealedWorld({ ...how, hideNames });
    const linesOf = (file: string) => world.unsealManifest(basename(file, '.impl'));
    return new WatchedAccount(options, world, world.key, linesOf);
  }

  private constructor(
    options: WatchedOptions,
    world: World,
    key: readonly string[],
    linesOf?: (file: string) => Record<string, unknown>[],
  ) {
    this.#options = options;
    this.#world = world;
    this.#key = key;
    this.#linesOf = linesOf;
    this.#dice = new RandomTree(`${options.restoreTo}/kept${options.root}`, options.random);
  }

  async configure(changes: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#world.configure(changes);
  }

  /** Backs up what is there now, of which `expected` is a copy, and looks at what lies in the account. @returns what is wrong */
  async backUp(expected: string): Promise<string[]> {
    this.#exchangeState();
    if (this.#dice.chance(0.25)) await this.#beKilled();
    await this.#world.backup(this.#dice.chance(0.1) ? ['--checksum'] : []);
    for (const run of completeRuns(this.#world.storage))
      if (!this.#expected.has(run)) this.#expected.set(run, expected);
    const wrong = await this.#findChangedPast();
    if (this.#dice.chance(0.4)) await this.#retire();
    return wrong;
  }

  /** Restores the last run, and something else by lot. @returns in what they differ from what was backed up */
  async restore(): Promise<string[]> {
    const runs = completeRuns(this.#world.storage);
    const wrong = await this.#compareWhole(runs.at(-1) ?? '');
    if (this.#dice.chance(0.3)) wrong.push(...(await this.#compareWhole(this.#dice.pick(runs))));
    if (this.#dice.chance(0.4)) wrong.push(...(await this.#comparePart(this.#dice.pick(runs))));
    if (this.#dice.chance(0.4)) wrong.push(...(await this.#compareMended(this.#dice.pick(runs))));
    if (this.#dice.chance(0.2)) await this.#world.verify(['--data', ...this.#key]);
    return wrong;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#world[Symbol.asyncDispose]();
  }

  /** The state folder is lost, or comes back from a backup of the server. */
  #exchangeState(): void {
    const { stateDir } = this.#world.bakker;
    const copy = `${stateDir} of then`;
    if (this.#dice.chance(0.1)) rmSync(stateDir, { recursive: true, force: true });
    if (this.#dice.chance(0.2) && existsSync(copy)) {
      rmSync(stateDir, { recursive: true, force: true });
      cpSync(copy, stateDir, { recursive: true });
    }
    if (this.#dice.chance(0.3) && existsSync(stateDir)) {
      rmSync(copy, { recursive: true, force: true });
      cpSync(stateDir, copy, { recursive: true });
    }
  }

  /** Whenever it dies, on either side, the next run is whole. */
  async #beKilled(): Promise<void> {
    const { bakker, server } = this.#world;
    const running = bakker.start(['backup', '--json']);
    await delay(this.#dice.upTo(RUN_MS));
    if (server && this.#dice.chance(0.5)) await server.killConnections();
    else running.process.kill('SIGKILL');
    await running.finished;
  }

  async #findChangedPast(): Promise<string[]> {
    const { storage } = this.#world;
    const before = this.#prints;
    this.#prints = await fingerprintRuns(storage);
    const isOther = (run: string): boolean => before.has(run) && before.get(run) !== this.#prints.get(run);
    const changed = [...this.#prints.keys()].filter(isOther).map((run) => `${run} changed`);
    return [...changed, ...findBrokenPromises(storage, this.#linesOf)];
  }

  async #retire(): Promise<void> {
    const { storage } = this.#world;
    if (this.#options.kind !== 'shell') {
      await this.#world.expect(['retention']);
      return;
    }
    writeFileSync(`${storage}/.bakker/account.yaml`, `retention: ${JSON.stringify(RETENTION)}\n`);
    for (const command of [
      (account: string) => ['thaw', account],
      (account: string) => ['retention', '--account', account],
    ]) {
      const { status, stderr } = administer(storage, command);
      if (status !== 0) throw new Error(stderr);
    }
  }

  async #compareWhole(run: string): Promise<string[]> {
    const to = `${this.#options.restoreTo}/whole`;
    const wrong = await this.#restoreAndCompare({ run, to, expected: this.#expectedOf(run), paths: [] });
    rmSync(to, { recursive: true });
    return wrong;
  }

  /** A folder alone: links to names outside of it are no links there. */
  async #comparePart(run: string): Promise<string[]> {
    const { root, restoreTo } = this.#options;
    const whole = new RandomTree(this.#expectedOf(run), this.#options.random);
    const folders = whole.folders();
    if (folders.length === 0) return [];
    const part = whole.pick(folders).slice(whole.root.length);
    const expected = `${restoreTo}/expected`;
    tool('cp', ['-a', `${whole.root}${part}`, expected]);
    const to = `${restoreTo}/part`;
    const paths = [`${root}${part}`];
    const wrong = await this.#restoreAndCompare({ run, to, expected, paths, part });
    for (const path of [to, expected]) rmSync(path, { recursive: true });
    return wrong;
  }

  /** Over what an earlier restore left, and somebody changed since. */
  async #compareMended(run: string): Promise<string[]> {
    const { root } = this.#dice;
    const expected = this.#expectedOf(run);
    if (existsSync(root)) changeAtRandom(this.#dice, 30);
    else mkdirSync(root, { recursive: true });
    // nothing is deleted outside of the run's sources
    for (const top of readdirSync(root))
      if (!existsSync(`${expected}/${top}`)) rmSync(`${root}/${top}`, { recursive: true });
    const to = root.slice(0, -this.#options.root.length);
    const flags = ['--delete', '--yes', '--verify'];
    return this.#restoreAndCompare({ run, to, expected, paths: flags });
  }

  async #restoreAndCompare(how: {
    readonly run: string;
    readonly to: string;
    readonly expected: string;
    readonly paths: readonly string[];
    readonly part?: string;
  }): Promise<string[]> {
    const { run, to, expected, paths, part = '' } = how;
    await this.#world.expect(['restore', '--from', run, '--to', to, ...paths, ...this.#key]);
    const differences = await compareTrees(expected, `${to}${this.#options.root}${part}`);
    return differences.map((difference) => `${run} ${paths.join(' ')}: ${difference}`);
  }

  #expectedOf(run: string): string {
    const expected = this.#expected.get(run);
    if (expected === undefined) throw new Error(`${run} was made behind our back`);
    return expected;
  }
}
