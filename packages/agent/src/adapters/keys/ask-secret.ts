import type { ReadStream } from 'node:tty';
import type { WriteStream } from 'node:tty';

const ENTER = /[\r\n]/;
const END = '\u0004';
const INTERRUPT = '\u0003';
const ERASE = new Set(['\u007f', '\b']);
const ERASE_LINE = '\u0015';

interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly signal: AbortSignal;
}

interface Asked {
  readonly question: string;
  /** Whether another line belongs to what was typed so far: pasted rows must not reach whoever reads the terminal next. */
  readonly goesOn: (typed: string) => boolean;
}

/**
 * Asks for one line that is not shown, or for some. The terminal is as it was when this ends, however it ends.
 *
 * @returns the lines with blanks between them; undefined when the person ended the input without an answer
 */
export async function askSecret(
  { question, goesOn }: Asked,
  terminal: Terminal,
): Promise<string | undefined> {
  const { input, output, signal } = terminal;
  signal.throwIfAborted();
  const wasRaw = input.isRaw;
  // before the question: who answers at once would see it
  input.setRawMode(true);
  output.write(question);
  input.setEncoding('utf8');
  input.resume();
  try {
    return await readLines(goesOn, terminal);
  } finally {
    input.setRawMode(wasRaw);
    input.pause();
    output.write('\n');
  }
}

function readLines(
  goesOn: Asked['goesOn'],
  { input, output, signal }: Terminal,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let before = '';
    let line = '';
    let last = '';
    const finish = (settle: () => void): void => {
      input.off('data', take).off('end', ended);
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const aborted = (): void => finish(() => reject(signal.reason as Error));
    const ended = (): void => finish(() => resolve(undefined));
    /** Whether there is nothing more to type. */
    const enter = (): boolean => {
      const isEmpty = line.trim() === '';
      before = before === '' ? line : `${before} ${line}`;
      line = '';
      if (isEmpty || !goesOn(before)) return true;
      output.write('\n... ');
      return false;
    };
    const take = (text: string): void => {
      for (const character of text) {
        const isSecondHalf = character === '\n' && last === '\r';
        last = character;
        if (isSecondHalf) continue;
        if (ENTER.test(character)) {
          if (enter()) return finish(() => resolve(before));
        } else if (character === END && before === '' && line === '') return ended();
        // a raw terminal makes no signal of it
        else if (character === INTERRUPT) process.kill(process.pid, 'SIGINT');
        else if (ERASE.has(character)) line = [...line].slice(0, -1).join('');
        else if (character === ERASE_LINE) line = '';
        else line += character;
      }
    };
    input.on('data', take).on('end', ended);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
