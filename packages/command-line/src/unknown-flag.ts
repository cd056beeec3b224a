import type { CodedError } from './coded-error.ts';
import { escapeText } from './escape-name.ts';
import { nearestName } from './nearest-name.ts';
import type { Program } from './program.ts';

/**
 * Words for a flag that there is not.
 *
 * @param flag - as it was given, with dashes and perhaps a value
 * @param command - name of the command; undefined if none was given
 */
export function unknownFlag(
  flag: string,
  { program, command, names }: { program: Program; command?: string; names: readonly string[] },
): CodedError {
  const word = flag.replace(/^-+/, '').replace(/=.*/s, '');
  const nearest = word.length < 2 ? undefined : nearestName(word, names);
  const asked = command === undefined ? program.name : `${program.name} ${command}`;
  const hint = nearest === undefined ? `${asked} --help lists the flags` : `did you mean --${nearest}?`;
  const problem = `there is no flag ${escapeText(flag.replace(/=.*/s, ''))}`;
  return program.failure('USAGE', command === undefined ? problem : `${command}: ${problem}`, { hint });
}
