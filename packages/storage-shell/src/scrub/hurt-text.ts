import { decodeByteText, parseRunName, toByteText } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import type { HurtRecord } from '../ports/stored-content.ts';
import { parseObject } from '../retain/stored-receipt.ts';

const VERSION = 1;

/** `.bakker/hurt.json`; paths are in the manifest's byte text. */
export function formatHurt({ atMs, manifests, files }: HurtRecord): string {
  return `${JSON.stringify({
    version: VERSION,
    at: atMs,
    manifests,
    files: files.map(({ inode, sha256, found, names }) => ({
      inode,
      sha256,
      found,
      names: names.map(({ run, path }) => ({ run, path: toByteText(path) })),
    })),
  })}\n`;
}

/** Undefined if it can't be understood: the next scrub finds again what is hurt. */
export function parseHurt(text: string): HurtRecord | undefined {
  const value = parseObject(text);
  if (value?.['version'] !== VERSION || typeof value['at'] !== 'number') return undefined;
  try {
    return {
      atMs: value['at'],
      manifests: list(value['manifests']).map(asRun),
      files: list(value['files']).map((item) => {
        const { inode, sha256, found, names } = asObject(item);
        if (typeof inode !== 'number' || typeof sha256 !== 'string') throw new Misread();
        return {
          inode,
          sha256,
          found: typeof found === 'string' ? found : null,
          names: list(names).map((name) => {
            const { run, path } = asObject(name);
            return { run: asRun(run), path: decodeByteText(path) };
          }),
        };
      }),
    };
  } catch (error) {
    if (error instanceof Misread || (error instanceof Error && error.name === 'FormatProblem'))
      return undefined;
    throw error;
  }
}

class Misread extends Error {}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Misread();
  return value;
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Misread();
  return { ...value };
}

function asRun(value: unknown): RunName {
  const run = typeof value === 'string' ? parseRunName(value) : undefined;
  if (run === undefined) throw new Misread();
  return run;
}
