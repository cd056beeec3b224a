import type { Config } from '../config/config.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type {
  Freeze,
  FreezeOptions,
  FreezePlan,
  FrozenView,
  SourceToFreeze,
  Volumes,
} from '../ports/volumes.ts';

/** The configured sources as they are found on the live file systems. @throws AgentError SOURCE_SUSPICIOUS */
export async function sourcesToFreeze(config: Config, live: SourceTree): Promise<SourceToFreeze[]> {
  const found: SourceToFreeze[] = [];
  for (const setting of config.sources) {
    const snapshot = setting.snapshot ?? config.snapshot;
    for (const rules of await live.expand([setting], config.excludes)) found.push({ ...rules, snapshot });
  }
  return found;
}

/** A view that is undone with the freezing that made it. */
export interface OwnedView extends FrozenView, AsyncDisposable {}

/** Prepares, takes and mounts in one go, where nothing has to stand still. @throws AgentError SNAPSHOT_FAILED */
export async function freeze(volumes: Volumes, plan: FreezePlan, options: FreezeOptions): Promise<OwnedView> {
  const freezing: Freeze = await volumes.prepare(plan, options);
  try {
    await freezing.take();
    const { root, warnings, problems, check } = await freezing.mount().then((view) => ({
      root: view.root,
      warnings: view.warnings,
      problems: view.problems,
      check: () => view.check(),
    }));
    return { root, warnings, problems, check, [Symbol.asyncDispose]: () => freezing[Symbol.asyncDispose]() };
  } catch (error) {
    await freezing[Symbol.asyncDispose]();
    throw error;
  }
}
