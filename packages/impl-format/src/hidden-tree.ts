import type { Stored } from './entry.ts';
import { baseName, isBelow, parentPath } from './path-order.ts';
import { NameHider, ROOT_DIRECTORY_ID } from './sealed/hidden-names.ts';

const SLASH = Buffer.from('/');
const HIDDEN_NAME_BYTES = 26;
const NOTHING = Buffer.alloc(0);

/** A folder whose name, and the names in it, the storage does not see. */
export class HiddenFolder {
  /** As it is on the server; empty for `/`. */
  readonly path: Buffer;
  readonly id: Buffer;
  readonly #hider: NameHider;
  readonly #above: HiddenFolder | undefined;
  readonly #depth: number;
  #at: Buffer | undefined;

  constructor(
    hider: NameHider,
    path: Buffer,
    { id, above }: { id: Buffer; above: HiddenFolder | undefined },
  ) {
    this.#hider = hider;
    this.path = path;
    this.id = id;
    this.#above = above;
    this.#depth = above === undefined ? 0 : above.#depth + 1;
  }

  /** Where it lies below the run's folder. */
  get at(): Buffer {
    return (this.#at ??= this.#above === undefined ? NOTHING : this.#above.hide(baseName(this.path)));
  }

  /** Bytes of the hidden path of a name in here, without making it. */
  get bytesOfNames(): number {
    return this.#depth * (HIDDEN_NAME_BYTES + SLASH.length) + HIDDEN_NAME_BYTES;
  }

  /** The path on the storage of a name in here. */
  hide(name: Buffer): Buffer {
    const hidden = Buffer.from(this.#hider.hide(this.id, name), 'latin1');
    return this.at.length === 0 ? hidden : Buffer.concat([this.at, SLASH, hidden]);
  }

  /** The same, made when somebody asks: of most files nobody does. */
  place(name: Buffer): Stored {
    return new HiddenPlace(this, name);
  }
}

/** The folders above the entries of a run, which pass in the order of the manifest. Holds one for each level. */
export class HiddenTree {
  readonly #hider: NameHider;
  readonly #open: HiddenFolder[];

  constructor(nameKey: Buffer) {
    this.#hider = new NameHider(nameKey);
    const root = { id: ROOT_DIRECTORY_ID, above: undefined };
    this.#open = [new HiddenFolder(this.#hider, NOTHING, root)];
  }

  /** The folder that `path` is in; undefined if that did not pass. */
  folderOf(path: Buffer): HiddenFolder | undefined {
    for (;;) {
      const folder = this.#open.at(-1);
      if (folder === undefined || folder.path.length === 0 || isBelow(path, folder.path)) {
        return folder?.path.length === parentPath(path).length ? folder : undefined;
      }
      this.#open.pop();
    }
  }

  /** A folder that passes, in `above`. */
  enter(above: HiddenFolder, path: Buffer, id: Buffer): HiddenFolder {
    const folder = new HiddenFolder(this.#hider, path, { id, above });
    this.#open.push(folder);
    return folder;
  }
}

class HiddenPlace {
  readonly kind = 'own';
  readonly #folder: HiddenFolder;
  readonly #name: Buffer;

  constructor(folder: HiddenFolder, name: Buffer) {
    this.#folder = folder;
    this.#name = name;
  }

  get at(): Buffer {
    return this.#folder.hide(this.#name);
  }
}
