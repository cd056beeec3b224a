import type { Program } from './program.ts';

/** Standard output has no reader any more: `… | head`. Not a failure. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/**
 * Writes to standard output, and waits until it is taken.
 *
 * @throws OutputClosed
 * @throws CodedError OUTPUT_BROKEN
 */
export async function writeOutput(program: Program, content: Uint8Array | string): Promise<void> {
  const failure = await new Promise<Error | null | undefined>((resolve) => {
    process.stdout.write(content, resolve);
  });
  if (!failure) return;
  const code = 'code' in failure ? String(failure.code) : failure.message;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') throw new OutputClosed();
  throw program.failure('OUTPUT_BROKEN', `standard output can't be written: ${code}`, { cause: failure });
}
