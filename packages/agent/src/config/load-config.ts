import { AgentError } from '../errors.ts';
import type { Config } from './config.ts';
import { parseConfig } from './parse-config.ts';

/**
 * Reads and checks the configuration file.
 *
 * @param readText - reads a file as UTF-8, failing with an errno `code`
 * @throws AgentError CONFIG_INVALID
 */
export async function loadConfig(file: string, readText: (file: string) => Promise<string>): Promise<Config> {
  let text: string;
  try {
    text = await readText(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
  return parseConfig(text, file);
}

function unreadable(file: string, cause: unknown): AgentError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AgentError('CONFIG_INVALID', `there is no configuration file ${file}`, {
      hint: 'bakker init ACCOUNT makes one; --config FILE names another',
      cause,
    });
  }
  const hint =
    code === 'EACCES'
      ? 'run bakker as root, or as the owner of the file'
      : 'name a readable file with --config';
  return new AgentError('CONFIG_INVALID', `the configuration file ${file} can't be read: ${code}`, {
    hint,
    cause,
  });
}
