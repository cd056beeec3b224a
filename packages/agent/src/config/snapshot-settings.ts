/** How a file system is frozen; `auto`: by what lies under it. docs/snapshots.md. */
export const PROVIDER_CHOICES = ['auto', 'lvm', 'btrfs', 'zfs', 'reflink', 'mirror', 'none'] as const;
export type ProviderChoice = (typeof PROVIDER_CHOICES)[number];

/** Room for what changes on a volume while its thick LVM snapshot stands. */
export type LvmSize =
  /** Share (0 to 1) of the volume's own size. */
  { readonly share: number } | { readonly sizeBytes: number };

export interface SnapshotSettings {
  readonly provider: ProviderChoice;
  readonly lvmSize: LvmSize;
}
