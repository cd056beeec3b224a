import { fstatSync } from 'node:fs';
import { LibcError } from '@bakker/linux';
import type { TargetItem } from '../../ports/restore-target.ts';
import { itemOf } from './target-item.ts';

/** What somebody looked at before it was opened. */
export interface LookedAt {
  readonly type: TargetItem['type'];
  /** Undefined if it was made just now. */
  readonly found?: Pick<TargetItem, 'filesystem' | 'inode'> | undefined;
}

/**
 * Who may write to a folder must not have us give away what he moved to a name in it.
 *
 * @param fd - of what was opened by that name
 * @throws LibcError ESTALE if the name is another's by now
 */
export function checkSame(fd: number, path: Buffer, { type, found }: LookedAt): void {
  const item = itemOf(fstatSync(fd, { bigint: true }));
  const isSame = !found || (found.inode === item.inode && found.filesystem === item.filesystem);
  if (item.type !== type || !isSame) throw new LibcError('open', ESTALE, path);
}

const ESTALE = 116;
