/** What retention and scrub need of a receipt. */
export interface StoredReceipt {
  /** Written by the storage; undefined in a receipt that it did not write. */
  readonly receivedAtMs: number | undefined;
  readonly status: 'complete' | 'partial';
  /** SHA-256 (hex) of the manifest's bytes. */
  readonly manifestSha256: string | undefined;
}

/** Undefined when the text is no receipt of `run`: a damaged receipt is as good as none. */
export function parseStoredReceipt(text: string, run: string): StoredReceipt | undefined {
  const value = parseObject(text);
  if (value?.['run'] !== run) return undefined;
  const { status, receivedAtMs, manifestSha256 } = value;
  if (status !== 'complete' && status !== 'partial') return undefined;
  return {
    receivedAtMs:
      typeof receivedAtMs === 'number' && Number.isSafeInteger(receivedAtMs) ? receivedAtMs : undefined,
    status,
    manifestSha256:
      typeof manifestSha256 === 'string' && /^[0-9a-f]{64}$/.test(manifestSha256)
        ? manifestSha256
        : undefined,
  };
}

/** The members of a JSON object; undefined for any other text. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
