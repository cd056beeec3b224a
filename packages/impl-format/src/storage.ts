/*
 * What a session on the storage needs: names, the verbs' messages, and manifests as text. Without entries, sealing and
 * replies, which only the server's side makes something of: each session is a new process, and pays for all that it loads.
 */
export { FormatProblem } from './errors.ts';
export { compareRunNames, nextRunName, parseRunName, runDateMs, type RunName } from './run-name.ts';
export * from './layout.ts';
export { baseName, checkPath, comparePaths, isBelow, parentPath } from './path-order.ts';
export { decodeByteText, encodeByteText, toByteText, type ByteText } from './byte-text.ts';
export { decodeHeaderLine } from './header-line.ts';
export { lineBlocks, MAX_LINE_BYTES } from './line-blocks.ts';
export { decodeTrailerLine } from './trailer-line.ts';
export { decompressZstd, ZstdCompressor } from './zstd.ts';
export { isToken } from './verbs/body-checks.ts';
export { encodeBody } from './verbs/json-body.ts';
export { decodeManifestDelta, type ManifestDeltaOperation } from './verbs/manifest-delta.ts';
export type * from './verbs/messages.ts';
export { encodeBeginReply } from './verbs/parse-replies.ts';
export * from './verbs/parse-requests.ts';
export * from './verbs/protocol.ts';
export {
  encodeTreeOutcome,
  type TreeFailure,
  type TreeFailureReason,
  type TreeOutcome,
} from './verbs/tree-outcome.ts';
export { decodeTreeScript, type TreeLink, type TreeOperation, type TreeScript } from './verbs/tree-script.ts';
