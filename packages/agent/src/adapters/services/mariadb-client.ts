import type { DatabaseLogin } from '../../config/service-settings.ts';
import type { ChildOptions } from './child.ts';
import { openSecretFile, readSecret } from './secrets.ts';

/** How a program of MariaDB or MySQL is started for this login; the password is in a file without a name. */
export function mariadbClient(
  program: string,
  { user, login, password, socket, host, port }: DatabaseLogin,
): Pick<ChildOptions, 'user' | 'descriptor'> & { readonly argv: readonly string[] } {
  const secret = password === undefined ? undefined : readSecret(password);
  const argv = [
    program,
    // must be the first argument
    ...(secret === undefined ? [] : ['--defaults-extra-file=/dev/fd/3']),
    ...(login === undefined ? [] : [`--user=${login}`]),
    ...(socket === undefined ? [] : [`--socket=${socket}`]),
    ...(host === undefined ? [] : [`--host=${host}`]),
    ...(port === undefined ? [] : [`--port=${port}`]),
  ];
  if (secret === undefined) return { argv, user };
  return { argv, user, descriptor: (user) => openSecretFile(optionFile(secret), user) };
}

/** Quoted as the option file wants it: only a backslash and the quote itself mean something there. */
function optionFile(password: string): string {
  return `[client]\npassword="${password.replace(/["\\]/g, '\\$&')}"\n`;
}
