/**
 * What ssh and other programs of the system get: the user's agents and settings, and none of bakker's own, as a private key or a
 * passphrase may be handed over in one.
 */
export function environmentOfPrograms(): Record<string, string | undefined> {
  const theirs = Object.entries(process.env).filter(([name]) => !name.startsWith('BAKKER_'));
  return { ...Object.fromEntries(theirs), LC_ALL: 'C' };
}
