/** How much of the machine and of the line a command may take. */
export interface Limits {
  /** Bytes a second to the storage, all connections together; undefined for no limit. */
  readonly uploadBytesPerS: number | undefined;
  readonly downloadBytesPerS: number | undefined;
  /** `low`: after others; `idle`: only when nobody else wants the disk. */
  readonly ioPriority: IoPriorityChoice;
  /** 0 to 19: how far others go before at the processor. */
  readonly nice: number;
  /** Processors that all threads together may use; undefined for all. */
  readonly cores: number | undefined;
  /** Content in flight, in bytes: read and not acknowledged yet, or received and not written. */
  readonly memoryBytes: number;
}

export const IO_PRIORITY_CHOICES = ['normal', 'low', 'idle'] as const;
export type IoPriorityChoice = (typeof IO_PRIORITY_CHOICES)[number];

/** What holds where nobody says anything: all there is. */
export const NO_LIMITS: Limits = {
  uploadBytesPerS: undefined,
  downloadBytesPerS: undefined,
  ioPriority: 'normal',
  nice: 0,
  cores: undefined,
  memoryBytes: 64 * 1024 * 1024,
};
