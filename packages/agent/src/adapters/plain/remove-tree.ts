import type { FileStore } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { unlessMissing } from './steps.ts';

/** Names of one folder that are removed before the next part of its listing is asked for. */
const BATCH = 1024;

/**
 * Removes a folder and all below it, many requests in flight; holds one batch of names for each level. What is gone
 * already is as good: a server may list a name twice while others are removed.
 * @throws the abort reason when `signal` aborts; what is left can be removed by another call
 */
export async function removeTree(store: FileStore, folder: Buffer, signal: AbortSignal): Promise<void> {
  const folders: Buffer[] = [];
  let answers: Promise<void>[] = [];
  const settle = async () => {
    const failed = (await Promise.allSettled(answers)).find((answer) => answer.status === 'rejected');
    answers = [];
    if (failed) throw failed.reason;
  };
  for await (const items of store.list(folder)) {
    for (const item of items) {
      const path = joinPath(folder, item.name);
      if (item.type === 'directory') folders.push(path);
      else answers.push(store.remove(path).catch(unlessMissing));
    }
    signal.throwIfAborted();
    if (answers.length >= BATCH) await settle();
  }
  await settle();
  // a few folders at once hide the round trips of listing; their depth is bounded by the path's
  for (let start = 0; start < folders.length; start += FOLDERS_AT_ONCE) {
    await Promise.all(
      folders
        .slice(start, start + FOLDERS_AT_ONCE)
        .map((path) => removeTree(store, path, signal).catch(unlessMissing)),
    );
  }
  await store.rmdir(folder);
}

const FOLDERS_AT_ONCE = 8;
