/** Run as another user: scans the folder named, reads every file, and prints what happened as one JSON value. */
import { hasCode } from '@bakker/linux';
import { scan, source } from './tree.ts';

const scanned = await scan([source(process.argv[2] ?? '')]);
const unread = scanned.entries.flatMap((entry) => {
  if (entry.type !== 'file') return [];
  try {
    scanned.tree.readWhole(entry);
    return [];
  } catch (error) {
    return [[entry.path.toString(), hasCode(error, 'EACCES')]];
  }
});
const entries = scanned.entries.map(({ path, unreadable }) => [path.toString(), unreadable ?? null]);
const problems = scanned.problems.map(({ path, kind, code }) => [path.toString(), kind, code]);
console.log(JSON.stringify({ entries, problems, unread }));
