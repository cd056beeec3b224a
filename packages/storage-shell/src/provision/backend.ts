import type { System } from '../ports/system.ts';
import type { AccountRecord } from './account-record.ts';
import { dirSpace } from './dir-space.ts';
import { lvmSpace } from './lvm-space.ts';
import type { Places } from './places.ts';
import type { Step } from './steps.ts';
import { xfsQuotaSpace } from './xfs-quota-space.ts';

/** What a backend knows of an account's space. */
export interface Space {
  /** What the account may take; undefined if nothing limits it. */
  readonly limitBytes: number | undefined;
  readonly usedBytes: number | undefined;
  /** Until the limit, or until the file system is full. */
  readonly freeBytes: number | undefined;
  /** The whole file system, whoever else has a part in it. */
  readonly volumeBytes: number;
}

/** Gives accounts their space, and takes it back. */
export interface SpaceBackend {
  /** @throws StorageError if this machine can't do it, before anything is changed */
  check(): Promise<void>;
  /** What a size becomes: volumes are made of extents. */
  rounded(sizeBytes: number): Promise<number>;
  /** From nothing to a folder that is the account's own; `sizeBytes` may be missing where there can be no limit. */
  provisionSteps(sizeBytes: number | undefined): Step[];
  /** To a size that is more than it was. */
  growSteps(sizeBytes: number): Step[];
  /** Removes the space with all that is in it. */
  removalSteps(): Step[];
  /** Undefined if it is not there: a volume that is not mounted. */
  space(): Promise<Space | undefined>;
}

export interface BackendParts {
  readonly system: System;
  readonly places: Places;
  readonly record: AccountRecord;
}

export function backendOf(parts: BackendParts): SpaceBackend {
  const { backend } = parts.record;
  switch (backend.kind) {
    case 'dir':
      return dirSpace(parts);
    case 'lvm':
      return lvmSpace(parts, backend);
    case 'xfs-quota':
      return xfsQuotaSpace(parts);
  }
}
