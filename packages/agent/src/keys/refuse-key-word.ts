import { looksLikePrivateKey } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';

/**
 * A private key in the place of a name must not be repeated: messages go to journals, and by mail to whoever is told of runs.
 *
 * @param place - where the word stands: `--identity-key`
 * @param wanted - what should stand there: `the name of its file`
 * @throws AgentError USAGE
 */
export function refuseKeyWord(word: string, { place, wanted }: { place: string; wanted: string }): void {
  if (!looksLikePrivateKey(word)) return;
  throw new AgentError('USAGE', `${place} is a private key itself, and should be ${wanted}`, {
    hint: 'write it into a file of mode 600 and name that; what stands in a command line can be read by others, and stays in the history of a shell',
  });
}
