/**
 * The passphrase in a file, a credential or a variable: its line, without the newline that editors and `$(…)` differ about. What
 * protects a key and what opens it have to agree on this, or the key never opens again.
 */
export function passphraseIn(text: string): string {
  return text.replace(/\r?\n$/, '');
}

/**
 * Whether somebody could type it: not if it has a second line or another control character, or if it came from bytes that are no
 * UTF-8. A key that only its file opens is lost with that file.
 */
export function isTypeable(passphrase: string): boolean {
  return !/[\x00-\x08\x0a-\x1f\x7f\ufeff\ufffd]/.test(passphrase);
}
