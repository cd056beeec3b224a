import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { SecretSource } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { OsUser } from './os-user.ts';

const MAX_BYTES = 4_096;
const OTHERS = 0o007;

/** Reads a secret, without the line feed at its end. @throws AgentError QUIESCE_FAILED, never with what was read */
export function readSecret(source: SecretSource): string {
  const text = source.from === 'environment' ? process.env[source.name] : readFile(fileOf(source));
  const secret = text?.replace(/\r?\n$/, '');
  if (secret === undefined || secret === '') throw refused(source, 'is empty or not there');
  if (/[\0\r\n]/.test(secret)) throw refused(source, 'has more than one line');
  return secret;
}

/**
 * A file without a name that holds a secret, for a child that reads `/dev/fd/3`: nothing to clean up, whoever dies.
 *
 * @returns its descriptor, to be closed once the child has it
 */
export function openSecretFile(text: string, user: OsUser): number {
  const file = path.join(os.tmpdir(), `.bakker-${randomBytes(12).toString('hex')}`);
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
  const descriptor = fs.openSync(file, flags, 0o600);
  try {
    fs.unlinkSync(file);
    if (user.uid !== process.getuid?.()) fs.fchownSync(descriptor, user.uid, user.gid);
    fs.writeSync(descriptor, text);
    return descriptor;
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

function fileOf(source: Exclude<SecretSource, { from: 'environment' }>): string {
  if (source.from === 'file') return source.file;
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) throw refused(source, 'is not there: bakker was not started by systemd with it');
  return path.join(folder, source.name);
}

function readFile(file: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(file, 'r');
    const { mode, size } = fs.fstatSync(descriptor);
    if ((mode & OTHERS) !== 0) throw new Error('every user of this machine may read it; chmod o= it');
    if (size > MAX_BYTES) throw new Error('it is too large for a secret');
    return fs.readFileSync(descriptor, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('QUIESCE_FAILED', `the file ${file} can't be used: ${why}`, { cause });
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

function refused(source: SecretSource, why: string): AgentError {
  const where =
    source.from === 'file'
      ? `the file ${source.file}`
      : source.from === 'credential'
        ? `the credential ${source.name}`
        : `the variable ${source.name}`;
  return new AgentError('QUIESCE_FAILED', `${where} ${why}`);
}
