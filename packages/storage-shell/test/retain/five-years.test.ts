import t from 'tap';
import { nextRunName, parseRunName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { openFolder } from '@bakker/linux';
import { planRetention } from '@bakker/retention';
import type { RetainedRun } from '@bakker/retention';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { DiskFreeze } from '../../src/adapters/account/disk-freeze.ts';
import { lockNames } from '../../src/adapters/account/locks.ts';
import { openFolderBeneath } from '@bakker/linux';
import { retireRuns } from '../../src/retain/retire-runs.ts';
import { SampleAccount, diskUse, makeRoot } from './sample-account.ts';

const DAY_MS = 86_400_000;
const DAYS = 1_826;
const START_MS = Date.UTC(2019, 0, 1, 3);
const RULES = { days: 5, instances: 4, months: 12, years: 4 };
const NEVER = new AbortController().signal;

/** The same numbers at every run of the test. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

t.test(
  'five years of a server that lies about dates and floods: exactly the pure policy, whole runs, right figures',
  async (t) => {
    const root = makeRoot(t);
    const account = new SampleAccount(root);
    account.policy(
      'retention: {days: 5, instances: 4, months: 12, years: 4}\nfreeze: {max-runs-a-day: 10}\ntrash: {keep-hours: 48}\n',
    );
    using keeper = openKeeper(root, account.name);
    using folder = openFolder(Buffer.from(account.folder));
    const freeze = new DiskFreeze({ account: folder, rules: () => keeper.policy().freeze });
    const roll = dice(42);
    /** What the storage knows, kept apart from its disk. */
    let model: RetainedRun[] = [];
    const names: RunName[] = [];
    const contents = new Map<string, Record<string, string>>();
    let current: Record<string, string> = {};
    let frozenDays = 0;
    let predictions = 0;

    const publish = async (receivedAtMs: number): Promise<void> => {
      const run = nextRunName(names, receivedAtMs);
      const parent = names.at(-1);
      const alive = parent !== undefined && contents.has(parent) ? parent : undefined;
      const changed = Math.floor(roll() * 8);
      const files: Record<string, string | null> = {};
      const next: Record<string, string> = {};
      for (let file = 0; file < 8; file++) {
        const path = `d${file % 3}/f${file}`;
        const before = current[path];
        const isKept = file !== changed && before !== undefined && alive !== undefined;
        next[path] = isKept ? before : `${run} ${'x'.repeat(Math.floor(roll() * 9_000))}`;
        files[path] = isKept ? null : next[path];
      }
      const status = roll() < 0.1 ? 'partial' : 'complete';
      // Anything from before Unix to far ahead, in the receipt and in the manifest.
      const finishedAtMs = Math.floor((roll() - 0.3) * 4e12);
      const reason = freeze.judge({
        run,
        parent: alive,
        parentFiles: 8,
        keptFiles: 7,
        receivedAtMs,
        asked: undefined,
      });
      if (reason !== undefined) {
        using hidden = openFolderBeneath(folder, Buffer.from('.bakker'));
        using _names = await lockNames(folder);
        freeze.freeze(hidden, { reason, sinceRun: run, atMs: receivedAtMs });
      }
      account.publish(run, {
        files,
        receivedAtMs,
        status,
        finishedAtMs,
        ...(alive === undefined ? {} : { parent: alive }),
      });
      current = next;
      contents.set(run, next);
      names.push(run);
      model.push({ run, receivedAtMs, state: status });
    };

    for (let day = 0; day < DAYS; day++) {
      const nowMs = START_MS + day * DAY_MS;
      const isFlood = day === 900;
      const isOff = day > 300 && day < 345;
      const runsToday = isFlood ? 60 : isOff || roll() < 0.15 ? 0 : roll() < 0.1 ? 3 : 1;
      for (let run = 0; run < runsToday; run++) await publish(nowMs + run * 60_000);
      const eveningMs = nowMs + 12 * 3_600_000;
      if (day === 905) {
        t.match(await keeper.thaw(), { reason: /runs came within 24 hours/ }, 'the flood froze the account');
      }
      const frozen = keeper.frozen();
      if (frozen !== undefined) frozenDays++;
      const verdicts = planRetention(model, { ...RULES, frozen: frozen?.reason }, eveningMs);
      const kept = new Set(verdicts.filter(({ keep }) => keep).map(({ run }) => run));
      const going = names.filter((run) => contents.has(run) && !kept.has(run));
      const outcome = await retireRuns(keeper, { nowMs: eveningMs, dryRun: false, signal: NEVER });
      if (outcome.removed.join() !== going.join()) t.same(outcome.removed, going, `day ${day}`);
      for (const run of going) contents.delete(run);
      model = model.filter(({ run }) => kept.has(run));
      const there = account.runs();
      if (there.join() !== model.map(({ run }) => run).join())
        t.same(
          there,
          model.map(({ run }) => run),
          `day ${day}`,
        );
      const latest = names.findLast((run) => contents.has(run));
      if (latest !== undefined && account.latest() !== latest)
        t.equal(account.latest(), latest, `day ${day}`);

      // Every so often, deleting some runs for good must free what was said before.
      if (day % 40 === 39 && frozen === undefined) {
        const victims = there
          .slice(-4, -1)
          .map((run) => parseRunName(run))
          .filter((run) => run !== undefined);
        for (const entry of keeper.trash()) await keeper.deleteTrashed(entry.name, NEVER);
        const before = diskUse(account.folder);
        const { together, runs } = await keeper.measure(victims, NEVER);
        for (const run of victims) await keeper.remove(run, eveningMs);
        for (const entry of keeper.trash()) await keeper.deleteTrashed(entry.name, NEVER);
        t.equal(
          before - diskUse(account.folder),
          together.bytes,
          `day ${day}: ${victims.length} runs free what was predicted`,
        );
        t.ok(runs.reduce((sum, { freed }) => sum + freed.bytes, 0) <= together.bytes);
        predictions++;
        for (const run of victims) contents.delete(run);
        model = model.filter(({ run }) => contents.has(run));
      }
      if (day % 100 !== 99 && day !== DAYS - 1) continue;
      for (const [run, files] of contents) {
        for (const [path, content] of Object.entries(files)) {
          if (readFileSync(join(account.folder, run, path), 'latin1') !== content)
            t.fail(`${run}/${path} is not whole`);
        }
      }
    }
    t.equal(frozenDays, 5);
    t.ok(predictions > 40);
    t.ok(contents.size >= 18 && contents.size <= 40, `${contents.size} runs are left of ${names.length}`);
    t.match(keeper.trash().length, /^[0-9]$/);
  },
);
