import { isAtOrBelow } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync } from 'node:fs';
import { errnoOf } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import type { SourceProblem } from '../../ports/source-tree.ts';
import type { UndoId, UndoStep } from '../../ports/undo-journal.ts';
import type { Freeze, FreezeOptions, FrozenView } from '../../ports/volumes.ts';
import { showPath } from '../../source/show-path.ts';
import { behind } from '../../volumes/mounted-volumes.ts';
import type { VolumeMount } from '../../volumes/mounted-volumes.ts';
import { openBusy } from './busy.ts';
import type { RunCommand } from './commands.ts';
import type { PlanParts } from './open-volumes.ts';
import type { Provider, Snapshot, TakeContext } from './provider.ts';
import { volumesUndoers } from './undoers.ts';
import { HeldMount, isFolder, makeViewFolder, showReadOnly, viewFolderAt } from './view-folder.ts';
import type { ViewFolder } from './view-folder.ts';

/** For undoing one step when a run ends. */
const UNDO_TIMEOUT_MS = 60_000;

type FreezingOptions = FreezeOptions & { readonly viewsDir: string; readonly command: RunCommand };
/** Takes snapshots and puts them together to a view. Everything is recorded before it is made. */
export class Freezing implements Freeze {
  readonly #plan: PlanParts;
  readonly #options: FreezingOptions;
  readonly #folder: ViewFolder;
  readonly #name: string;
  readonly #recorded: { readonly id: UndoId; readonly step: UndoStep }[] = [];
  readonly #held: (Disposable & { check: () => void })[] = [];
  readonly #prepared: Disposable[] = [];
  #busyFd: number | undefined;
  #snapshots: readonly Snapshot[] | undefined;

  /** @throws AgentError SNAPSHOT_FAILED; then nothing is left */
  static async prepare(plan: PlanParts, options: FreezingOptions): Promise<Freezing> {
    const freezing = new Freezing(plan, options);
    try {
      await freezing.#prepare();
      return freezing;
    } catch (error) {
      await freezing[Symbol.asyncDispose]();
      throw asSnapshotError(error);
    }
  }

  private constructor(plan: PlanParts, options: FreezingOptions) {
    const id = options.id ?? randomBytes(4).toString('hex');
    if (!/^[A-Za-z0-9]{1,40}$/.test(id)) throw new Error(`"${id}" can't be part of a name`);
    this.#plan = plan;
    this.#options = options;
    this.#name = `bakker-${id}`;
    this.#folder = viewFolderAt(options.viewsDir, id);
  }

  async take(): Promise<void> {
    try {
      const context = this.#context();
      const snapshots: Snapshot[] = [];
      for (const [provider, jobs] of this.#byProvider()) {
        this.#options.signal.throwIfAborted();
        snapshots.push(...(await provider.take(jobs, context)));
      }
      this.#options.signal.throwIfAborted();
      this.#snapshots = snapshots;
    } catch (error) {
      throw this.#orAborted(error);
    }
  }

  async mount(): Promise<FrozenView> {
    const snapshots = this.#snapshots;
    if (snapshots === undefined) throw new Error('nothing was taken');
    try {
      const { path } = this.#folder;
      this.#record({ kind: 'unmount-view', what: `unmount what is below ${path}`, folder: path });
      for (const snapshot of snapshots) await this.#mountOne(snapshot);
      const warnings = [...this.#plan.warnings, ...snapshots.flatMap((snapshot) => snapshot.warnings)];
      this.#compose(snapshots, warnings);
      const view = new View({ root: this.#folder.root, warnings, snapshots, held: this.#held });
      await view.check();
      return view;
    } catch (error) {
      throw this.#orAborted(error);
    }
  }

  /** Undoes newest first; what fails stays recorded, and the rest is undone all the same. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const held of this.#held.splice(0)) held[Symbol.dispose]();
    if (this.#busyFd !== undefined) closeSync(this.#busyFd);
    this.#busyFd = undefined;
    const undoers = volumesUndoers(this.#options.command);
    const failures: unknown[] = [];
    for (const { id, step } of this.#recorded.splice(0).toReversed()) {
      try {
        await undoers[step.kind]?.(step, { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS) });
        this.#options.journal.settle(id);
      } catch (error) {
        failures.push(error);
      }
    }
    // A copy is let go of once it is not mounted any more.
    for (const prepared of this.#prepared.splice(0)) prepared[Symbol.dispose]();
    if (failures.length > 0) throw asSnapshotError(failures[0]);
  }

  async #prepare(): Promise<void> {
    const { path, busyFile } = this.#folder;
    this.#record({ kind: 'remove-view', what: `remove the folder ${path}`, folder: path });
    makeViewFolder(this.#folder);
    this.#busyFd = openBusy(busyFile);
    const context = this.#context();
    for (const [provider, jobs] of this.#byProvider()) {
      for (const { problem } of await provider.review(jobs))
        throw new AgentError('SNAPSHOT_FAILED', problem.message, { hint: problem.hint });
      const prepared = await provider.prepare(jobs, context);
      if (prepared !== undefined) this.#prepared.push(prepared);
    }
  }

  async #mountOne(snapshot: Snapshot): Promise<void> {
    this.#options.signal.throwIfAborted();
    const at = this.#folder.volume(snapshot.job.index);
    mkdirSync(at, { mode: 0o700 });
    await snapshot.mount(at);
    this.#hold(at, snapshot.job.volume.primary.mountPoint);
  }

  /** Parents first: a snapshot has the folders on which the others are mounted. */
  #compose(snapshots: readonly Snapshot[], warnings: string[]): void {
    const places = [
      ...snapshots.flatMap((snapshot) =>
        snapshot.job.volume.mounts.map((mount) => ({
          mount,
          from: this.#placeIn(snapshot, mount),
          snapshot,
        })),
      ),
      ...this.#plan.live.map((mount) => ({ mount, from: mount.mountPoint, snapshot: undefined })),
    ].sort((a, b) => a.mount.mountPoint.length - b.mount.mountPoint.length);
    for (const { mount, from, snapshot } of places) {
      this.#options.signal.throwIfAborted();
      const at =
        mount.mountPoint.length === 1
          ? this.#folder.root
          : Buffer.concat([this.#folder.root, mount.mountPoint]);
      try {
        if (isFolder(at) === undefined) this.#makePlace(mount, snapshots);
        showReadOnly(from, at);
        if (snapshot !== undefined && isFolder(at) === true) this.#hold(at, mount.mountPoint);
      } catch (error) {
        const code = errnoOf(error);
        if (snapshot !== undefined || code === undefined) throw error;
        // nothing of it is ever read
        if (mount.isPseudo) continue;
        warnings.push(`${showPath(mount.mountPoint)} can't be shown beside the snapshots (${code})`);
      }
    }
  }

  #placeIn(snapshot: Snapshot, mount: VolumeMount): Buffer {
    const at = this.#folder.volume(snapshot.job.index);
    return Buffer.concat([at, behind(mount.root, snapshot.shownRoot)]);
  }

  /** A copy has only the folders that lead to sources. */
  #makePlace(mount: VolumeMount, snapshots: readonly Snapshot[]): void {
    const around = snapshots
      .flatMap((snapshot) => snapshot.job.volume.mounts.map((place) => ({ snapshot, place })))
      .filter(({ place }) => place !== mount && isAtOrBelow(mount.mountPoint, place.mountPoint))
      .sort((a, b) => b.place.mountPoint.length - a.place.mountPoint.length)[0];
    if (around === undefined) return;
    const { place, snapshot } = around;
    const inside = Buffer.concat([
      behind(place.root, snapshot.shownRoot),
      behind(mount.mountPoint, place.mountPoint),
    ]);
    snapshot.makeMountPoint?.(inside);
  }

  #hold(at: Buffer, name: Buffer): void {
    const mount = new HeldMount(at);
    this.#held.push({
      check: () => mount.check(name),
      [Symbol.dispose]: () => mount[Symbol.dispose](),
    });
  }

  #record(step: UndoStep): void {
    const id = this.#options.journal.record(step);
    this.#recorded.push({ id, step });
  }

  #context(): TakeContext {
    if (this.#busyFd === undefined) throw new Error('not prepared');
    return {
      name: this.#name,
      record: (step) => this.#record(step),
      busyFile: this.#folder.busyFile,
      busyFd: this.#busyFd,
      signal: this.#options.signal,
    };
  }

  /** Copies come last: they take longest, and so the others' moments lie together. */
  #byProvider(): (readonly [Provider, PlanParts['jobs'][number]['job'][]])[] {
    const groups = Map.groupBy(this.#plan.jobs, ({ provider }) => provider);
    const isCopy = ({ name }: Provider): number => Number(name === 'reflink' || name === 'mirror');
    return [...groups]
      .map(([provider, group]) => [provider, group.map(({ job }) => job)] as const)
      .sort(([a], [b]) => isCopy(a) - isCopy(b));
  }

  #orAborted(error: unknown): unknown {
    const { signal } = this.#options;
    return signal.aborted ? signal.reason : asSnapshotError(error);
  }
}

/** Where nothing is frozen: the live files are read where they are. */
export function liveFreeze(warnings: readonly string[]): Freeze {
  return {
    take: async () => undefined,
    mount: async () => ({ root: Buffer.from('/'), warnings, problems: [], check: async () => undefined }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

class View implements FrozenView {
  readonly root: Buffer;
  readonly warnings: readonly string[];
  readonly problems: readonly SourceProblem[];
  readonly #snapshots: readonly Snapshot[];
  readonly #held: readonly { check: () => void }[];

  constructor(parts: {
    root: Buffer;
    warnings: readonly string[];
    snapshots: readonly Snapshot[];
    held: readonly { check: () => void }[];
  }) {
    this.root = parts.root;
    this.warnings = parts.warnings;
    this.problems = parts.snapshots.flatMap((snapshot) => snapshot.problems);
    this.#snapshots = parts.snapshots;
    this.#held = parts.held;
  }

  async check(): Promise<void> {
    // What the volume manager says tells more than that it can't be read.
    for (const snapshot of this.#snapshots) await snapshot.check();
    for (const held of this.#held) held.check();
  }
}

function asSnapshotError(error: unknown): unknown {
  const code = errnoOf(error);
  if (code === undefined || error instanceof AgentError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AgentError('SNAPSHOT_FAILED', `the snapshots can't be made: ${message}`, {
    hint: 'docs/snapshots.md says what each provider needs',
    cause: error,
  });
}
