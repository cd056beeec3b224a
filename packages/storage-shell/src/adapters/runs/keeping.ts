import type { Keeping } from '../../ports/keeping.ts';
import { openContent } from './disk-content.ts';
import { openKeeper } from './disk-keeper.ts';
import { stepBack } from './step-back.ts';

export const keeping: Keeping = { openKeeper, openContent, stepBack };
