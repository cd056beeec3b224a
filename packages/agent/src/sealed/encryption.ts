import type { ManifestHeader, SourceFilesystem } from '@bakker/impl-format';
import type { KeepTeller } from '../backup/keeping.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { StateFolder } from '../ports/state-folder.ts';
import type { RunWriter } from '../ports/storage-account.ts';
import type { Naming, Sealing } from './sealing.ts';

/** How a configuration wants its runs sealed. Loaded only where it does. */
export interface Encryption {
  /** Ids of the keys that runs are sealed to, ascending. */
  readonly recipients: readonly string[];
  /** Draws a run's key, and says where its entries lie. */
  begin(run: SealedRunOptions): Promise<SealedRun>;
  /** Opens a manifest, if a private key is at hand without asking anybody; undefined if none is. */
  opener(): Promise<OpenManifestBytes | undefined>;
}

/** @returns the manifest's compressed stream; throws AgentError KEY_WRONG, MANIFEST_DAMAGED on the way */
export type OpenManifestBytes = (sealed: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer>;

export interface SealedRunOptions {
  readonly accountId: string;
  readonly state: StateFolder;
  readonly source: SourceTree;
  readonly writer: RunWriter;
  readonly filesystems: readonly SourceFilesystem[];
  /** The parent that files may be linked to. */
  readonly parent: { readonly header: ManifestHeader; manifest(): AsyncIterable<Uint8Array> } | undefined;
  /** Nothing may be remembered. */
  readonly dryRun: boolean;
}

export interface SealedRun extends AsyncDisposable {
  readonly sealing: Sealing;
  readonly naming: Naming;
  /** There where the storage keeps what stays, and names are hidden. */
  readonly keeping: KeepTeller | undefined;
  /** Whether the storage can keep what stays of the parent by itself. */
  readonly mayKeep: boolean;
  /** Remembers that the account is sealed from this run on: before it is published, as whoever dies then does not come to it. */
  remember(): Promise<void>;
}
