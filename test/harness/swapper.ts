import { libc } from '@bakker/linux';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, unlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Swapping extends AsyncDisposable {
  readonly started: Promise<void>;
  /** @returns how often they changed places */
  stop(): Promise<number>;
}

/** Lets another process, with that user id, exchange the folder `name` and a symlink to `target` without a pause. */
export async function startSwapping(options: {
  uid: number;
  folder: string;
  name: string;
  target: string;
}): Promise<Swapping> {
  const { uid, folder, name, target } = options;
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url)];
  const child = spawn(
    'env',
    ['-u', 'NODE_OPTIONS', ...program, folder, name, target], // tap's notes are not this user's to write
    {
      uid,
      gid: uid,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const closed = once(child, 'close');
  const started = Promise.race([once(child.stdout, 'data'), closed]).then(() => undefined);
  const stop = async (): Promise<number> => {
    child.stdin.end();
    await closed;
    return Number(output.split('\n')[1]);
  };
  return {
    started,
    stop,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) await stop();
    },
  };
}

const RENAME_EXCHANGE = 2;
const AT_ONCE = 1000;

/** The other process. Ends when its input does, with the folder where it was. */
function swap(folder: string, name: string, target: string): void {
  process.chdir(folder);
  const beside = `${name}-beside`;
  symlinkSync(target, beside);
  const names = [`${name}\0`, `${beside}\0`].map((text) => Buffer.from(text));
  let count = 0;
  let hasEnded = false;
  process.stdin.on('end', () => (hasEnded = true)).resume();
  process.stdout.write('started\n');
  const turn = (): void => {
    for (let index = 0; index < AT_ONCE; index++) {
      if (libc().renameat2(-100, names[0]!, -100, names[1]!, RENAME_EXCHANGE) === 0) count++;
    }
    if (!hasEnded || count % 2 === 1) {
      setImmediate(turn);
      return;
    }
    process.stdout.write(`${count}\n`);
    unlinkSync(beside);
  };
  turn();
}

const [, program, folder, name, target] = process.argv;
if (program === fileURLToPath(import.meta.url) && folder && name && target) swap(folder, name, target);
