import {
  checkManifestBytes,
  looksSealed,
  manifestName,
  type ManifestTrailer,
  type RunName,
  type RunVerdict,
} from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import { AgentError } from '../errors.ts';
import type { Receipt, StorageAccount, StoredRun } from '../ports/storage-account.ts';
import { manifestFailure, openManifest } from './open-manifest.ts';

/** A run as `list` shows it. Times are Unix milliseconds; null where nothing tells them. */
export interface RunSummary {
  readonly run: RunName;
  /** `partial`: complete but for files that could not be read. `damaged`: its manifest can't be trusted. */
  readonly status: 'complete' | 'partial' | 'damaged' | 'incomplete';
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly files: number | null;
  readonly sourceBytes: number | null;
  readonly addedBytes: number | null;
  readonly isLatest: boolean;
  /** What a storage of ours says of it; undefined where none does. */
  readonly verdict?: StorageVerdict;
}

/** What retention and scrub on the storage found. */
export type StorageVerdict = Pick<RunVerdict, 'keeps' | 'reasons' | 'hurtFiles' | 'isManifestHurt'>;

const RUNS_AT_ONCE = 8;

/**
 * All runs, oldest first, each with its manifest checked: by the SHA-256 in the receipt, or without a receipt by what
 * it says of itself. Manifests are streamed, eight at a time.
 */
export async function listRuns(account: StorageAccount): Promise<readonly RunSummary[]> {
  const runs = await account.listRuns();
  const latest = await account.latest();
  const verdicts = new Map((await account.side?.verdicts())?.map((verdict) => [verdict.run, verdict]));
  const summaries: RunSummary[] = [];
  for (let start = 0; start < runs.length; start += RUNS_AT_ONCE) {
    const some = runs.slice(start, start + RUNS_AT_ONCE);
    summaries.push(
      ...(await Promise.all(
        some.map(async (stored) => ({
          ...(await summarise(account, stored, verdicts.get(stored.run))),
          isLatest: stored.run === latest,
          ...verdictOf(verdicts.get(stored.run)),
        })),
      )),
    );
  }
  return summaries;
}

type Summary = Omit<RunSummary, 'isLatest' | 'verdict'>;

const UNKNOWN = { startedAtMs: null, finishedAtMs: null, files: null, sourceBytes: null, addedBytes: null };

async function summarise(
  account: StorageAccount,
  { run, state, manifestSizeBytes }: StoredRun,
  verdict: RunVerdict | undefined,
): Promise<Summary> {
  if (state === 'incomplete') return { run, status: 'incomplete', ...UNKNOWN };
  // a key that may not read has only the storage's word for it
  if (account.side?.mayRead === false) {
    const figures = verdict?.figures ?? undefined;
    const isDamaged = manifestSizeBytes === undefined || verdict?.isManifestHurt === true;
    return { run, status: isDamaged ? 'damaged' : (figures?.status ?? 'complete'), ...figuresOf(figures) };
  }
  const receipt = await account.receipt(run);
  if (manifestSizeBytes === undefined) return { run, status: 'damaged', ...figuresOf(receipt) };
  const stored = () => account.storedManifest?.(run) ?? account.manifest(run);
  try {
    // figures are inside of what only a private key opens
    if (receipt === undefined && (await startsSealed(stored())))
      return { run, status: 'complete', ...UNKNOWN };
    if (receipt === undefined) return await summariseManifest(account, run);
    const isTrue = (await sha256Of(stored())) === receipt.manifestSha256;
    return { run, status: isTrue ? receipt.status : 'damaged', ...figuresOf(receipt) };
  } catch (error) {
    const failure = manifestFailure(error, run);
    if (!(failure instanceof AgentError) || failure.code !== 'MANIFEST_DAMAGED') throw error;
    return { run, status: 'damaged', ...figuresOf(receipt) };
  }
}

function verdictOf(verdict: RunVerdict | undefined): { verdict?: StorageVerdict } {
  if (verdict === undefined) return {};
  const { keeps, reasons, hurtFiles, isManifestHurt } = verdict;
  return { verdict: { keeps, reasons, hurtFiles, isManifestHurt } };
}

function figuresOf(
  receipt: Pick<Receipt, Exclude<keyof Summary, 'run' | 'status'>> | undefined,
): Omit<Summary, 'run' | 'status'> {
  if (receipt === undefined) return UNKNOWN;
  const { startedAtMs, finishedAtMs, files, sourceBytes, addedBytes } = receipt;
  return { startedAtMs, finishedAtMs, files, sourceBytes, addedBytes };
}

async function summariseManifest(account: StorageAccount, run: RunName): Promise<Summary> {
  const trailer: ManifestTrailer = await checkManifestBytes(account.manifest(run), {
    source: manifestName(run),
  });
  await using manifest = await openManifest(account, run);
  const { counts } = trailer;
  return {
    run,
    status: counts.unreadable > 0 ? 'partial' : 'complete',
    startedAtMs: manifest.header.startedAtMs,
    finishedAtMs: trailer.finishedAtMs,
    files: counts.files + counts.symlinks + counts.others,
    sourceBytes: counts.bytes,
    addedBytes: trailer.addedBytes,
  };
}

async function startsSealed(bytes: AsyncIterable<Buffer>): Promise<boolean> {
  for await (const piece of bytes) return looksSealed(piece);
  return false;
}

async function sha256Of(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const sum = createHash('sha256');
  for await (const piece of bytes) sum.update(piece);
  return sum.digest('hex');
}
