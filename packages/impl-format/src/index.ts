export type * from './entry.ts';
export { markMoved, originOf, type EntryLine, type EntryOrigin, type MovedLine } from './entry-origin.ts';
export { ManifestError, type ManifestErrorCode, type ManifestPlace } from './errors.ts';
export { FormatProblem } from './errors.ts';
export { compareRunNames, nextRunName, parseRunName, runDateMs, type RunName } from './run-name.ts';
export {
  CARRIED,
  classifyName,
  diffName,
  incompleteName,
  LATEST,
  manifestName,
  PRIVATE_FOLDER,
  receiptName,
  RECEIPTS,
  TRASH,
  type AccountName,
} from './layout.ts';
export { looksSealed } from './sealed/container.ts';
export { HiddenTree, type HiddenFolder } from './hidden-tree.ts';
export { isCount } from './json-checks.ts';
export { baseName, checkPath, comparePaths, isAtOrBelow, isBelow, parentPath } from './path-order.ts';
export { decodeByteText, encodeByteText, toByteText, type ByteText } from './byte-text.ts';
export {
  createManifestEncoder,
  encodeManifest,
  type FinishedManifest,
  type ManifestEncoder,
  type ManifestFinish,
  type ManifestFollower,
  type WrittenEntry,
} from './manifest-writer.ts';
export {
  checkManifestBytes,
  readManifest,
  type ManifestReader,
  type ReadOptions,
  type SteppedManifest,
} from './manifest-reader.ts';
export type { EntryCursor } from './entry-cursor.ts';
export { EntryLines } from './entry-line.ts';
export type { FileFacts } from './same-line.ts';
export { UnchangedLines } from './unchanged-lines.ts';
export { decodeHeaderLine } from './header-line.ts';
export { lineBlocks, MAX_LINE_BYTES } from './line-blocks.ts';
export { decodeTrailerLine } from './trailer-line.ts';
export { decompressZstd, ZstdCompressor } from './zstd.ts';
export { mergeJoin, type JoinedPair } from './merge-join.ts';
export * from './verbs/index.ts';
