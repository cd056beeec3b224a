import type { MailSettings } from '../config/notify-settings.ts';

/** RFC 5322 allows 998 bytes in a line. */
const MOST_LINE_BYTES = 900;
/** An encoded word has at most 75 characters, of which this many bytes in base64 fill 60. */
const WORD_BYTES = 45;

/**
 * A mail with its headers, for `sendmail -t`. Nothing in the subject or the text can become a header, or end the message.
 *
 * @param settings - addresses as the configuration's parser has let them through
 */
export function renderMail(
  { to, from }: Pick<MailSettings, 'to' | 'from'>,
  { subject, text }: { subject: string; text: string },
): string {
  const headers = [
    ...(from === undefined ? [] : [`From: bakker <${from}>`]),
    `To: ${to.join(',\n ')}`,
    `Subject: ${encodeHeader(subject)}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    // so that no absence note answers
    'Auto-Submitted: auto-generated',
  ];
  const body = text.replace(/\r\n?/g, '\n').split('\n').flatMap(wrap);
  return `${headers.join('\n')}\n\n${body.join('\n')}\n`;
}

/** As it is, or as RFC 2047 encoded words. */
function encodeHeader(text: string): string {
  const line = text.replace(/[\0-\x1f\x7f]+/g, ' ').trim();
  if (/^[\x20-\x7e]{0,200}$/.test(line) && !line.includes('=?')) return line;
  return pieces(line, WORD_BYTES)
    .map((piece) => `=?UTF-8?B?${Buffer.from(piece).toString('base64')}?=`)
    .join('\n ');
}

function wrap(line: string): string[] {
  return line === '' ? [''] : pieces(line.replaceAll('\0', ''), MOST_LINE_BYTES);
}

/** Cut between characters. */
function pieces(text: string, mostBytes: number): string[] {
  const found: string[] = [];
  let piece = '';
  let sizeBytes = 0;
  for (const character of text) {
    const bytes = Buffer.byteLength(character);
    if (sizeBytes + bytes > mostBytes) {
      found.push(piece);
      [piece, sizeBytes] = ['', 0];
    }
    piece += character;
    sizeBytes += bytes;
  }
  return [...found, piece];
}
