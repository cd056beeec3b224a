/**
 * Why a manifest was refused:
 * `DAMAGED` bytes are not those that were written · `TRUNCATED` it ends early · `VERSION` written by a program that is
 * newer than this one, or no manifest · `UNSORTED` out of order or twice · `HOSTILE` a path that leaves its place ·
 * `MALFORMED` a line that is not as specified.
 */
export type ManifestErrorCode = 'DAMAGED' | 'TRUNCATED' | 'VERSION' | 'UNSORTED' | 'HOSTILE' | 'MALFORMED';

/** Where in a manifest something is wrong. `path` is printable. */
export interface ManifestPlace {
  readonly source?: string | undefined;
  readonly line?: number | undefined;
  readonly path?: string | undefined;
}

/** A manifest that can't be trusted, or an entry that can't be written into one. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code: ManifestErrorCode;
  /** What is wrong, without the place. */
  readonly reason: string;
  readonly source: string | undefined;
  /** From 1, the header. */
  readonly line: number | undefined;
  /** Printable: control characters and bytes that are not UTF-8 are escaped. */
  readonly path: string | undefined;

  constructor(
    code: ManifestErrorCode,
    reason: string,
    place: ManifestPlace = {},
    extra: { cause?: unknown } = {},
  ) {
    super(describe(reason, place), { cause: extra.cause });
    this.code = code;
    this.reason = reason;
    this.source = place.source;
    this.line = place.line;
    this.path = place.path;
  }
}

/** A value that has no form in this format; the reader says where, see `ManifestError`. */
export class FormatProblem extends Error {
  override readonly name = 'FormatProblem';
  readonly code: ManifestErrorCode;

  constructor(code: ManifestErrorCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

function describe(reason: string, { source, line, path }: ManifestPlace): string {
  const where = [source ?? 'manifest'];
  if (line !== undefined) where.push(`line ${line}`);
  if (path !== undefined) where.push(path);
  return `${where.join(', ')}: ${reason}`;
}
