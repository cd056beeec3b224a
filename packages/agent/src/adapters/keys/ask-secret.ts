import type { ReadStream } from 'node:tty';
import type { WriteStream } from 'node:tty';

const ENTER = /[\r\n]/;
const END = '\u0004';
const INTERRUPT = '\u0003';
const ERASE = new Set(['\u007f', '\b']);
const ERASE_LINE = '\u0015';

/**
 * Asks for one line that is not shown. The terminal is as it was when this ends, however it ends.
 *
 * @returns undefined when the person ended the input without an answer
 */
export async function askSecret(
  question: string,
  { input, output, signal }: { input: ReadStream; output: WriteStream; signal: AbortSignal },
): Promise<string | undefined> {
  signal.throwIfAborted();
  const wasRaw = input.isRaw;
  // before the question: who answers at once would see it
  input.setRawMode(true);
  output.write(question);
  input.setEncoding('utf8');
  input.resume();
  try {
    return await readLine(input, signal);
  } finally {
    input.setRawMode(wasRaw);
    input.pause();
    output.write('\n');
  }
}

function readLine(input: ReadStream, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let line = '';
    const finish = (settle: () => void): void => {
      input.off('data', take).off('end', ended);
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const aborted = (): void => finish(() => reject(signal.reason as Error));
    const ended = (): void => finish(() => resolve(undefined));
    const take = (text: string): void => {
      for (const character of text) {
        if (ENTER.test(character)) return finish(() => resolve(line));
        if (character === END && line === '') return ended();
        // a raw terminal makes no signal of it
        if (character === INTERRUPT) process.kill(process.pid, 'SIGINT');
        else if (ERASE.has(character)) line = [...line].slice(0, -1).join('');
        else if (character === ERASE_LINE) line = '';
        else line += character;
      }
    };
    input.on('data', take).on('end', ended);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
