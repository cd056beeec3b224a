import { isCount } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import type { Receipt } from '../../ports/storage-account.ts';

/** One JSON object, readable by people and `jq`. */
export function encodeReceipt(receipt: Receipt): Buffer {
  return Buffer.from(`${JSON.stringify(receipt, undefined, 2)}\n`);
}

/** Undefined when the text is no receipt of `run`: a damaged receipt is as good as none, the manifest is the authority. */
export function decodeReceipt(text: Buffer, run: RunName): Receipt | undefined {
  const value = parseObject(text.toString('utf8'));
  return value && receiptOf(value, run);
}

/** The same, of what was parsed already. */
export function receiptOf(value: Readonly<Record<string, unknown>>, run: RunName): Receipt | undefined {
  if (value['run'] !== run) return undefined;
  const {
    status,
    startedAtMs,
    finishedAtMs,
    files,
    sourceBytes,
    addedBytes,
    manifestSha256,
    manifestDigest,
    token,
    frozen,
  } = value;
  if (status !== 'complete' && status !== 'partial') return undefined;
  if (
    !isCount(startedAtMs) ||
    !isCount(finishedAtMs) ||
    !isCount(files) ||
    !isCount(sourceBytes) ||
    !isCount(addedBytes)
  ) {
    return undefined;
  }
  if (typeof manifestSha256 !== 'string' || typeof manifestDigest !== 'string' || typeof token !== 'string')
    return undefined;
  return {
    run,
    status,
    startedAtMs,
    finishedAtMs,
    files,
    sourceBytes,
    addedBytes,
    manifestSha256,
    manifestDigest,
    token,
    ...(typeof frozen === 'string' ? { frozen } : {}),
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
