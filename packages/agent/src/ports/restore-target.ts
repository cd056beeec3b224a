/** Placeholder until the restore defines what it needs of this machine's file system. */
export type RestoreTarget = object;
