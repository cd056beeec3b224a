/** Bytes of a name for a message: what is not printable UTF-8 becomes `\x1b`. Never raw on a terminal. */
export function printableName(name: Uint8Array): string {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  const text = bytes.toString('utf8');
  const isPlain = !/[\p{C}\u2028\u2029\ufffd]/u.test(text);
  return isPlain ? text : bytes.toString('latin1').replace(/[^\x20-\x7e]/g, escapeByte);
}

function escapeByte(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
