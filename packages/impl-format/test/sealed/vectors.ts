import { readFileSync } from 'node:fs';

/** What scripts/write-sealed-vectors.ts wrote once. */
export interface Vectors {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly otherPrivateKey: string;
  readonly keyFile: string;
  readonly paperKey: string;
  readonly passphrase: string;
  readonly protectedKeyFile: string;
  readonly files: readonly Vector[];
  /** What is sealed in it is compressed. */
  readonly manifest: Vector;
}

export interface Vector {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export const VECTOR_FOLDER = new URL('vectors/', import.meta.url).pathname;

export function readVectors(): Vectors {
  const vectors: Vectors = JSON.parse(readFileSync(`${VECTOR_FOLDER}vectors.json`, 'utf8'));
  return vectors;
}

export function sealedFile(name: string): string {
  return `${VECTOR_FOLDER}${name}.sealed`;
}
