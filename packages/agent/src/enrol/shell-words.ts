/** One word as a POSIX shell reads it back: for a line that a person pastes, or that ssh hands to a login shell. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command line for a POSIX shell that runs exactly `argv`. */
export function shellLine(argv: readonly string[]): string {
  return argv.map(shellQuoted).join(' ');
}
