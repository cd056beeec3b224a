import type { ManifestHeader } from '@bakker/impl-format';

/** What a run's manifest says of the run before it. */
export interface ParentLink {
  readonly parent: string;
  /** `there`: the storage shows the parent that it names, as far as that was looked at. */
  readonly state: 'there' | 'gone' | 'exchanged';
}

/**
 * Whether each manifest was made after the parent that the storage shows: it names that one's digest. Retention takes
 * parents away, too, so that one is gone is told and is no damage.
 *
 * @see docs/impl-format.md
 */
export class ParentChain {
  readonly #runs: ReadonlySet<string>;
  readonly #digests = new Map<string, string>();

  /** @param runs - all that the storage shows */
  constructor(runs: readonly string[]) {
    this.#runs = new Set(runs);
  }

  /** Takes a manifest that was read to its end; oldest first. @returns undefined for a run that has no parent */
  add({ run, parent, parentDigest }: ManifestHeader, digest: string): ParentLink | undefined {
    this.#digests.set(run, digest);
    if (parent === null) return undefined;
    const known = this.#digests.get(parent);
    if (known !== undefined) return { parent, state: known === parentDigest ? 'there' : 'exchanged' };
    return { parent, state: this.#runs.has(parent) ? 'there' : 'gone' };
  }
}

/** Why a manifest and its parent's can't both be true. */
export function describeExchange({ parent }: ParentLink): string {
  return `it was made from another ${parent}.impl than the storage shows: one of the two was exchanged`;
}
