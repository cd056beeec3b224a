import { compareRunNames, parseRunName } from '@bakker/impl-format/storage';
import type { BeginReply, RunName } from '@bakker/impl-format/storage';
import { hasCode, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import type { Trust } from '../tree/link-maker.ts';
import { isFromAnotherBoot, openCarried } from './carried.ts';
import type { AccountFolders } from './steps.ts';

export interface LinkableOptions {
  readonly folders: AccountFolders;
  readonly begun: BeginReply;
  /** Of the begun run; stays the caller's. */
  readonly root: FolderHandle;
}

/** What a run may take files from: complete runs before it, itself by its token, and carried ones. Few are kept open. */
export class LinkableFolders implements Disposable {
  readonly #options: LinkableOptions;
  readonly #open = new Map<string, FolderHandle>();
  #carried: FolderHandle | undefined;

  constructor(options: LinkableOptions) {
    this.#options = options;
  }

  /** Undefined if there is none of that name. The handle stays this object's. @throws LibcError */
  resolve(name: string): FolderHandle | undefined {
    if (name === this.#options.begun.token) return this.#options.root;
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const opened = this.#openOther(name);
    if (opened === undefined) return undefined;
    if (this.#open.size >= MAX_OPEN) {
      for (const [oldest, folder] of this.#open) {
        this.#open.delete(oldest);
        folder[Symbol.dispose]();
        break;
      }
    }
    this.#open.set(name, opened);
    return opened;
  }

  /** How far the files of such a folder can be trusted. */
  trust(name: string): Trust {
    const { token, carried } = this.#options.begun;
    // What a handle still writes to may be discarded, and its bytes given back: no second name may keep it.
    if (name === token) return 'unfinished';
    if (!carried.includes(name)) return 'complete';
    return isFromAnotherBoot(name) ? 'doubtful' : 'unfinished';
  }

  [Symbol.dispose](): void {
    for (const folder of this.#open.values()) folder[Symbol.dispose]();
    this.#open.clear();
    this.#carried?.[Symbol.dispose]();
  }

  #openOther(name: string): FolderHandle | undefined {
    const { folders, begun } = this.#options;
    const { account, hidden } = folders;
    const run: RunName | undefined = parseRunName(name);
    try {
      if (run !== undefined) {
        return compareRunNames(run, begun.run) < 0 ? openFolderBeneath(account, Buffer.from(run)) : undefined;
      }
      if (!begun.carried.includes(name)) return undefined;
      this.#carried ??= openCarried(hidden);
      return this.#carried && openFolderBeneath(this.#carried, Buffer.from(name));
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
      throw error;
    }
  }
}

const MAX_OPEN = 64;
