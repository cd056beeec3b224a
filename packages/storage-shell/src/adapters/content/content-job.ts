import type { LibcError } from '@bakker/linux';

/**
 * What a content thread is asked for. Descriptors are the process's own: whoever asks keeps them open until the answer.
 *
 * - `share`: makes the empty file `to` share all blocks of `from`. Answer: 1 if it does now, 0 if the file systems can't
 * - `copy`: copies the next data of `from`, at `atBytes` or behind it, to the same place; holes are passed over. Answer: where
 *   to go on, `endBytes` when all is done
 * - `hash`: takes the bytes from `atBytes` to `endBytes` into the hash `hash`. Answer: how far it came
 * - `digest`: ends the hash `hash`. Answer: the digest
 * - `forget`: drops the hash `hash`
 * - `store`: stores small files below the folder `root`, all or none. Answer: their hashes, one behind the other
 */
export type ContentTask =
  | { readonly kind: 'share'; readonly from: number; readonly to: number }
  | {
      readonly kind: 'copy';
      readonly from: number;
      readonly to: number;
      readonly atBytes: number;
      readonly endBytes: number;
    }
  | {
      readonly kind: 'hash';
      readonly hash: number;
      readonly fd: number;
      readonly atBytes: number;
      readonly endBytes: number;
    }
  | { readonly kind: 'digest' | 'forget'; readonly hash: number }
  | {
      readonly kind: 'store';
      readonly root: number;
      /** Moved to the thread. */
      readonly memory: ArrayBuffer;
      /** What `packFiles` made of the files in it. */
      readonly table: BigInt64Array;
    };

/** How a `LibcError` or an errno error crosses to the thread that asked. */
export type ContentFailure =
  | { readonly call: LibcError['syscall']; readonly errno: number }
  | { readonly code: string; readonly message: string };

export type ContentAnswer = number | Uint8Array | { readonly failure: ContentFailure };

/** So much is copied or hashed for one task at most: then others have their turn, and whoever waits can give up. */
export const SLICE_BYTES = 16 * 1024 * 1024;
