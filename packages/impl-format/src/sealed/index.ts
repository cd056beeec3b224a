export { SealedError, KeyTextError, type KeyTextErrorCode, type SealedErrorCode } from './sealed-error.ts';
export {
  asPrivateKey,
  asPublicKey,
  generatePrivateKey,
  publicKeyOf,
  recipientId,
  type PrivateKey,
  type PublicKey,
} from './key-pair.ts';
export { MAX_RECIPIENTS } from './envelope.ts';
export { looksSealed, type SealedKind } from './container.ts';
export { looksCompressible } from './compress.ts';
export { Keyring } from './keyring.ts';
export { Sealer, STRIDED_FROM_BYTES } from './sealer.ts';
export type { ZstdFrames } from './frames.ts';
export { SmallSealer, type PackedStream, type RunKey } from './packed-seal.ts';
export type { ChunkRequest, StridedSealer } from './strided-seal.ts';
export {
  hasRoomForKey,
  readShortStridedHeader,
  readStridedHeader,
  shortStridedHeader,
  type StridedHeader,
} from './strided-header.ts';
export { stridedSizeBytes } from './strided-layout.ts';
export {
  openSealed,
  openSealedManifest,
  openSealedPieces,
  openSmall,
  readSealedHeader,
  type SealedHeader,
} from './open-sealed.ts';
export { openStrided, readStridedRange, type ByteRange, type ReadAt } from './read-range.ts';
export { HOLE_RECORD_BYTES } from './strided-chunk.ts';
export type { OpenedChunk, StridedOpener } from './strided-open.ts';
export { NameHider, newDirectoryId, newNameKey, ROOT_DIRECTORY_ID } from './hidden-names.ts';
export { formatKeyId, formatPublicKey, parsePublicKey } from './public-key-text.ts';
export { formatPaperKey, isPaperKeyBegun, parsePaperKey } from './paper-key.ts';
export { protectKey } from './protected-key.ts';
export { formatPrivateKey, looksLikePrivateKey, parsePrivateKey } from './private-key-text.ts';
