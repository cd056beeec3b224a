/**
 * The passphrase in a file, a credential or a variable: its line, without the newline that editors and `$(…)` differ about. What
 * protects a key and what opens it have to agree on this, or the key never opens again.
 */
export function passphraseIn(text: string): string {
  return text.replace(/\r?\n$/, '');
}
