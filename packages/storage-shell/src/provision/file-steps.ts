import { StorageError } from '../errors.ts';
import type { FileFacts, System, WriteOptions } from '../ports/system.ts';
import type { Step } from './steps.ts';

/** A folder of root's, made if it is missing. */
export function folderStep(system: System, path: string, mode: number): Step {
  return {
    title: `make the folder ${path}`,
    lines: [`install -d -o root -g root -m ${octal(mode)} ${path}`],
    isDone: async () => (await system.inspect(path))?.type === 'folder',
    do: async () => {
      await system.makeFolder(path, { mode });
    },
    undo: async () => {
      await system.removeEmptyFolder(path);
    },
  };
}

/**
 * A folder of root's that accounts pass through, made if it is missing. One that is there may be more open for reading than
 * `mode`, but not closed to who needs it, as after a umask of 077, and nobody but root may change what lies in it.
 */
export async function passageStep(system: System, path: string, mode: number): Promise<Step> {
  const step = folderStep(system, path, mode);
  // Also where the name is a symlink: what it points at matters.
  const inside = `${path}/.`;
  if ((await system.inspect(inside)) === undefined) return step;
  const neededBits = mode & 0o011;
  let before: FileFacts | undefined;
  return {
    title: `keep the folder ${path} root's, and open to accounts`,
    lines: [`chown root ${path}`, `chmod ${neededBits === 0 ? 'go-w' : 'go-w,go+x'} ${path}`],
    isDone: async () => {
      const facts = await system.inspect(inside);
      return facts?.uid === 0 && (facts.mode & 0o022) === 0 && (facts.mode & neededBits) === neededBits;
    },
    do: async () => {
      before = await system.inspect(inside);
      if (before === undefined) throw new StorageError('FAILED', `the folder ${path} is gone`);
      await system.setOwner(inside, { uid: 0, gid: before.gid, mode: (before.mode & ~0o022) | neededBits });
    },
    undo: async () => {
      if (before !== undefined) await system.setOwner(inside, before);
    },
  };
}

export interface FileStepParts {
  readonly title: string;
  readonly path: string;
  /** What the file should hold, from what it holds; undefined: it is right as it is. */
  readonly text: (existing: string | undefined) => Promise<string | undefined> | string | undefined;
  readonly options: () => Promise<WriteOptions> | WriteOptions;
  /** Shown by `--dry-run`, besides the name. */
  readonly lines?: readonly string[];
}

/** A file that should hold a text; undone, it holds what it held before. */
export function fileStep(system: System, { title, path, text, options, lines }: FileStepParts): Step {
  let before: { text: string | undefined } | undefined;
  return {
    title,
    lines: [`write ${path}`, ...(lines ?? []).map((line) => `  ${line}`)],
    isDone: async () => {
      const existing = await system.readText(path);
      const wanted = await text(existing);
      return wanted === undefined || wanted === existing;
    },
    do: async () => {
      before = { text: await system.readText(path) };
      const wanted = await text(before.text);
      if (wanted !== undefined) await system.writeText(path, wanted, await options());
    },
    undo: async () => {
      if (before === undefined) return;
      if (before.text === undefined) await system.removeFile(path);
      else await system.writeText(path, before.text, await options());
    },
  };
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
