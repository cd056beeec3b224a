import { readAbsolute, readCount, readOptional } from './read-values.ts';
import type { DatabaseLogin, SecretSource } from './service-settings.ts';
import type { YamlValue } from './yaml-reader.ts';

type Keys = Readonly<Partial<Record<string, YamlValue>>>;

/**
 * Reads how a database is reached.
 *
 * @param localUser - the user of this machine that its own socket knows; taken when neither host, user nor password is given
 */
export function readLogin(keys: Keys, { localUser }: { localUser?: string } = {}): DatabaseLogin {
  const socket = readAbsolute(keys['socket']);
  const host = readWord(keys['host']);
  if (socket !== undefined && host !== undefined) keys['host']?.complain('give either socket or host');
  const password = readSecret(keys);
  const user =
    readWord(keys['user']) ?? (host === undefined && password === undefined ? localUser : undefined);
  return { user, login: readWord(keys['login']), password, socket, host, port: readPort(keys['port']) };
}

function readSecret(keys: Keys): SecretSource | undefined {
  const file = readAbsolute(keys['password-file']);
  const credential = readWord(keys['credential']);
  const variable = readWord(keys['password-env']);
  if (credential?.includes('/') === true) keys['credential']?.complain('must be a name, not a path');
  const given: SecretSource[] = [];
  if (file !== undefined) given.push({ from: 'file', file });
  if (credential !== undefined) given.push({ from: 'credential', name: credential });
  if (variable !== undefined) given.push({ from: 'environment', name: variable });
  if (given.length > 1) {
    (keys['password-env'] ?? keys['credential'])?.complain(
      'give one of password-file, credential and password-env',
    );
  }
  return given[0];
}

function readPort(value: YamlValue | undefined): number | undefined {
  return value && readCount(value, 1, 65_535, 'must be a port, 1 to 65535');
}

/** Nothing that a client could take for an option or a connection string. */
function readWord(value: YamlValue | undefined): string | undefined {
  const word = readOptional(value);
  if (word === undefined || !/^-|[\s=,]/.test(word)) return word;
  value?.complain(`${word} can't be meant`);
  return undefined;
}
