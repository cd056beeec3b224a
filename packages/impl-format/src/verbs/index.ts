export { isToken } from './body-checks.ts';
export { encodeBody } from './json-body.ts';
export { decodeManifestDelta, ManifestDeltaEncoder, type ManifestDeltaOperation } from './manifest-delta.ts';
export type * from './messages.ts';
export * from './parse-replies.ts';
export * from './parse-requests.ts';
export * from './protocol.ts';
export {
  decodeTreeOutcome,
  encodeTreeOutcome,
  type TreeFailure,
  type TreeFailureReason,
  type TreeOutcome,
} from './tree-outcome.ts';
export {
  decodeTreeScript,
  TreeScriptEncoder,
  type TreeLink,
  type TreeOperation,
  type TreeScript,
} from './tree-script.ts';
