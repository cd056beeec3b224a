import { AgentError } from '../errors.ts';
import type { AccountAddress } from './config.ts';

const DEFAULT_PORT = 22;
const FORMS = 'write user@host:/path, ssh://user@host:port/path, or the absolute path of a local folder';

/**
 * Reads where the runs go: `user@host:/path`, `user@host:path-from-the-login-folder`, `ssh://user@host:port/path`
 * (`ssh://user@host:port/./path` starts in the login folder), `/local/folder` or `file:///local/folder`.
 * A password is never repeated in a message.
 *
 * @throws AgentError CONFIG_INVALID
 */
export function parseAccountAddress(text: string): AccountAddress {
  if (/[\0-\x1f\x7f]/.test(text)) throw invalid('the account address has control characters in it');
  if (text.trim() === '') throw invalid('the account address is empty');
  if (text.trim() !== text) throw invalid(`account ${text.trim()}: there is a space before or after it`);
  if (holdsPassword(text)) {
    throw new AgentError('CONFIG_INVALID', 'the account address has a password in it', {
      hint: 'leave it out: bakker signs in with a key only',
    });
  }
  if (text.startsWith('/')) return { kind: 'local', folder: cleanPath(text, text) };
  if (/^file:/i.test(text)) return { kind: 'local', folder: parseFileUrl(text) };
  if (/^ssh:\/\//i.test(text)) return parseSshUrl(text);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw invalid(
      `account ${text}: ${text.slice(0, text.indexOf(':'))} is no kind of storage that bakker knows`,
    );
  }
  return parseScpForm(text);
}

/** The shortest form that `parseAccountAddress` reads back to the same address. */
export function formatAccountAddress(address: AccountAddress): string {
  if (address.kind === 'local') return address.folder;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  if (address.port === DEFAULT_PORT) {
    return `${address.user}@${host}:${address.path === '.' ? '' : address.path}`;
  }
  const path = address.path.split('/').map(encodeURIComponent).join('/');
  const ending = address.path === '.' ? '' : path.startsWith('/') ? path : `/./${path}`;
  return `ssh://${encodeURIComponent(address.user)}@${host}:${address.port}${ending}`;
}

function holdsPassword(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/@]*:[^/]*@/i.test(text) || /^[^/@:]+:(?!\/\/)[^/@]*@/.test(text);
}

function parseFileUrl(text: string): string {
  const match = /^file:\/\/(?:localhost)?(\/.*)$/i.exec(text);
  if (match === null) throw invalid(`account ${text}: a file address is written file:///folder`);
  return cleanPath(decode(match[1] ?? '', text), text);
}

function parseSshUrl(text: string): AccountAddress {
  const match = /^ssh:\/\/(?:([^/@]*)@)?(\[[^\]/]*\]|[^:/@[\]]*)(?::([^/]*))?(\/.*)?$/i.exec(text);
  if (match === null) throw invalid(`account ${text} can't be read`);
  const [, user, host = '', port, path = ''] = match;
  const folder = decode(path, text);
  return {
    kind: 'ssh',
    user: checkUser(decode(user ?? '', text), text),
    host: checkHost(host, text),
    port: port === undefined ? DEFAULT_PORT : parsePort(port, text),
    path: cleanPath(folder.startsWith('/./') ? folder.slice(3) : folder === '/.' ? '' : folder, text),
  };
}

function parseScpForm(text: string): AccountAddress {
  const match = /^(?:([^:/]*)@)?(\[[^\]/]*\]|[^:/@[\]]*):(.*)$/.exec(text);
  if (match === null) throw invalid(`account ${text} can't be read`);
  const [, user, host = '', path = ''] = match;
  return {
    kind: 'ssh',
    user: checkUser(user ?? '', text),
    host: checkHost(host, text),
    port: DEFAULT_PORT,
    path: cleanPath(path, text),
  };
}

function checkUser(user: string, text: string): string {
  if (user === '') throw invalid(`account ${text} names no user`);
  // A leading dash would be read as an option by the system's ssh.
  if (user.startsWith('-') || /[\s\0:/[\]]/.test(user))
    throw invalid(`account ${text}: ${user} is no user name`);
  return user;
}

function checkHost(host: string, text: string): string {
  if (host === '') throw invalid(`account ${text} names no host`);
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    if (!/^(?=.*:)[0-9a-f:.]+(%[0-9a-z._-]+)?$/i.test(address)) {
      throw invalid(`account ${text}: ${host} is no IPv6 address`);
    }
    return address;
  }
  if (!/^[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?$/i.test(host))
    throw invalid(`account ${text}: ${host} is no host name`);
  return host;
}

function parsePort(port: string, text: string): number {
  const value = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
  if (value < 1 || value > 65_535) throw invalid(`account ${text}: the port must be 1 to 65535`);
  return value;
}

function cleanPath(path: string, text: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts[0]?.startsWith('~') === true) {
    throw new AgentError('CONFIG_INVALID', `account ${text}: ~ means nothing to a storage`, {
      hint: 'for a folder below the one that the login starts in, write user@host:folder',
    });
  }
  if (parts.includes('..')) throw invalid(`account ${text}: '..' is not taken in a path`);
  if (/[\0-\x1f\x7f]/.test(path)) throw invalid('the account address has control characters in it');
  if (path.startsWith('/')) return `/${parts.join('/')}`;
  return parts.length === 0 ? '.' : parts.join('/');
}

function decode(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`account ${whole}: a % that is meant as such is written %25`);
  }
}

function invalid(message: string): AgentError {
  return new AgentError('CONFIG_INVALID', message, { hint: FORMS });
}
