import Database from 'better-sqlite3';
import fs from 'node:fs';
import path from 'node:path';
import type { SqliteDumpSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService } from '../../ports/services.ts';
import { replaceDump } from './dump-file.ts';
import { prepareDump } from './dumps.ts';
import { sqliteFailure } from './sqlite-service.ts';

/** Between two pieces other tasks of this process get their turn, and writers of the database theirs. */
const PAGES_A_STEP = 2_000;
/** Each write by another process starts the copy anew; after so many, the rest is copied in one go, and writers wait. */
const RESTARTS = 3;

/** `NAME.sqlite`: a copy by SQLite's online backup, checked. */
export function prepareSqliteDump(
  { file, maxSizeBytes }: SqliteDumpSettings,
  { name, dumpsFolder }: { name: string; dumpsFolder: string },
): PreparedService {
  const target = path.join(dumpsFolder, `${name}.sqlite`);
  return prepareDump(target, ({ signal }) =>
    replaceDump(target, async (part) => {
      fs.closeSync(fs.openSync(part, 'wx', 0o600));
      try {
        await copy(file, part, { maxSizeBytes, signal });
        check(part);
      } catch (cause) {
        throw sqliteFailure(file, cause);
      } finally {
        for (const suffix of ['-journal', '-wal', '-shm']) fs.rmSync(part + suffix, { force: true });
      }
    }),
  );
}

async function copy(
  file: string,
  part: string,
  { maxSizeBytes, signal }: { maxSizeBytes: number; signal: AbortSignal },
): Promise<void> {
  const database = new Database(file, { readonly: true, fileMustExist: true, timeout: 0 });
  try {
    const pageBytes = Number(database.pragma('page_size', { simple: true }));
    const refuseTooLarge = (pages: number): void => {
      if (pages * pageBytes > maxSizeBytes) throw tooLarge(pages * pageBytes, maxSizeBytes);
    };
    refuseTooLarge(Number(database.pragma('page_count', { simple: true })));
    let restarts = 0;
    let remainingBefore = Infinity;
    await database.backup(part, {
      progress({ totalPages, remainingPages }) {
        signal.throwIfAborted();
        refuseTooLarge(totalPages);
        if (remainingPages > remainingBefore) restarts++;
        remainingBefore = remainingPages;
        return restarts < RESTARTS ? PAGES_A_STEP : 0x7fff_ffff;
      },
    });
  } finally {
    database.close();
  }
}

/** A damaged database is copied as faithfully as a sound one. */
function check(part: string): void {
  const database = new Database(part, { fileMustExist: true });
  try {
    // the copy says of itself that it has a log beside it, which it has not
    database.pragma('journal_mode = DELETE');
    const [first] = database.pragma('quick_check(1)') as readonly { quick_check: string }[];
    if (first?.quick_check !== 'ok') {
      throw new AgentError('QUIESCE_FAILED', `is damaged: ${first?.quick_check ?? 'the check says nothing'}`);
    }
    if (database.pragma('page_count', { simple: true }) === 0)
      throw new AgentError('QUIESCE_FAILED', 'is empty');
  } finally {
    database.close();
  }
}

function tooLarge(sizeBytes: number, maxSizeBytes: number): AgentError {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return new AgentError(
    'QUIESCE_FAILED',
    `has ${gib(sizeBytes)}, more than a copy may have (${gib(maxSizeBytes)})`,
    {
      hint: 'a copy beside writers can take hours at this size: leave it to the snapshot ("sqlite" instead of "sqlite-dump"), or raise "max-size"',
    },
  );
}
