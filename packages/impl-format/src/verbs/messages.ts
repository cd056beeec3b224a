import type { RunName } from '../run-name.ts';

/** Bodies of the verbs that speak JSON; docs/storage-protocol.md says what each value means. */

export interface HelloRequest {
  readonly versions: readonly number[];
  readonly program: string;
}

/** Why an account's retention stands still. */
export interface Freeze {
  readonly reason: string;
  readonly sinceRun: RunName;
}

export type Role = 'backup' | 'restore';

export interface HelloReply {
  readonly version: number;
  readonly program: string;
  readonly account: string;
  readonly role: Role;
  readonly mayRead: boolean;
  readonly identity: string;
  readonly nowMs: number;
  readonly maxPathBytes: number;
  /** The text of `.bakker/agent.yaml`. */
  readonly agentConfig: string | null;
  readonly frozen: Freeze | null;
}

export interface ListRequest {
  readonly after?: RunName;
  readonly receipts?: boolean;
}

export interface ListedRun {
  readonly run: RunName;
  readonly state: 'complete' | 'incomplete';
  readonly manifestSizeBytes: number | null;
  /** As it lies on the storage: to be checked by whoever uses it. */
  readonly receipt: Readonly<Record<string, unknown>> | null;
}

export interface ListReply {
  /** Oldest first. */
  readonly runs: readonly ListedRun[];
  readonly latest: RunName | null;
  readonly more: boolean;
}

export interface BeginRequest {
  readonly parent: RunName | null;
}

export interface BeginReply {
  readonly run: RunName;
  /** Names the run until it is published. */
  readonly token: string;
  /** Tokens of unfinished runs whose content may be linked. */
  readonly carried: readonly string[];
  readonly parent: { readonly run: RunName; readonly manifestSha256: string } | null;
  readonly hurt: readonly HurtFile[];
}

/** A file whose stored bytes are known to be damaged. */
export interface HurtFile {
  readonly run: RunName;
  readonly path: Buffer;
}

/** What lies in a run's folder; `bytes` counts each name of a file. */
export interface ObjectCounts {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly bytes: number;
}

/** What the agent says of its run, to be noted with what the storage knows itself. */
export interface RunFigures {
  readonly status: 'complete' | 'partial';
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly files: number;
  readonly sourceBytes: number;
  readonly addedBytes: number;
  readonly manifestDigest: string;
  /** Why retention should stand still since this run, if a guard of the agent said so. */
  readonly frozen?: string;
}

export interface PublishRequest {
  readonly objects: ObjectCounts;
  /** For a manifest that was sent as it is; null for one that was told as differences. */
  readonly manifestSha256: string | null;
  readonly receipt: RunFigures;
}

export interface PublishReply {
  readonly run: RunName;
  readonly receivedAtMs: number;
  readonly manifestSha256: string;
  readonly manifestSizeBytes: number;
  readonly frozen: Freeze | null;
}

/** Null for what is not known or set. */
export interface SpaceReply {
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  readonly freeInodes: number | null;
  readonly limitBytes: number | null;
  readonly usedBytes: number | null;
  readonly requestedBytes: number | null;
}

export interface VerdictsRequest {
  readonly after?: RunName;
}

/** What the storage thinks of a complete run. */
export interface RunVerdict {
  readonly run: RunName;
  /** Whether its retention keeps the run; null if it can't say. */
  readonly keeps: boolean | null;
  /** Why; a few, and shortened. */
  readonly reasons: readonly string[];
  /** So many of its files have other bytes than were stored. */
  readonly hurtFiles: number;
  readonly isManifestHurt: boolean;
  /** Of the receipt; null if there is none that can be understood. */
  readonly figures: ReceivedFigures | null;
}

export interface ReceivedFigures extends Pick<
  RunFigures,
  'status' | 'startedAtMs' | 'finishedAtMs' | 'files' | 'sourceBytes' | 'addedBytes'
> {
  /** By the storage's clock; null for a run that another storage received. */
  readonly receivedAtMs: number | null;
}

export interface VerdictsReply {
  /** Oldest first. */
  readonly runs: readonly RunVerdict[];
  /** When scrub found what is damaged; null if it never found anything. */
  readonly hurtFoundAtMs: number | null;
  readonly more: boolean;
}

export interface UsageRequest {
  readonly runs: readonly RunName[];
}

export interface UsageReply {
  readonly runs: readonly { readonly run: RunName; readonly freesBytes: number }[];
  readonly together: number;
}

export interface SpaceRequest {
  readonly bytes: number;
}

export interface SpaceGrant {
  readonly grantedBytes: number;
  readonly limitBytes: number | null;
}
