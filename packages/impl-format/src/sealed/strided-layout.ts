import { CHUNK_OVERHEAD_BYTES } from './strided-chunk.ts';

/** What decides where chunks lie. */
export interface StridedLayout {
  readonly chunkSizeBytes: number;
  readonly headerSizeBytes: number;
}

export function chunkCount(contentBytes: number, chunkSizeBytes: number): number {
  return Math.ceil(contentBytes / chunkSizeBytes);
}

/** Where the record of a chunk starts in the sealed file. */
export function chunkOffset({ headerSizeBytes, chunkSizeBytes }: StridedLayout, index: number): number {
  return headerSizeBytes + index * (chunkSizeBytes + CHUNK_OVERHEAD_BYTES);
}

/** Bytes on the storage, unless the content ends in a hole. */
export function stridedSizeBytes(layout: StridedLayout, contentBytes: number): number {
  const chunks = chunkCount(contentBytes, layout.chunkSizeBytes);
  return layout.headerSizeBytes + contentBytes + chunks * CHUNK_OVERHEAD_BYTES;
}
