import type { DatabaseLogin } from '../../config/service-settings.ts';
import type { ChildOptions } from './child.ts';
import { openSecretFile, readSecret } from './secrets.ts';

/** How a program of PostgreSQL is started for this login; the password is in a file without a name. */
export function postgresqlClient(
  program: string,
  { user, login, password, socket, host, port }: DatabaseLogin,
): Pick<ChildOptions, 'user' | 'descriptor' | 'env'> & { readonly argv: readonly string[] } {
  const secret = password === undefined ? undefined : readSecret(password);
  const place = socket ?? host;
  const argv = [
    program,
    '--no-password', // never ask
    ...(place === undefined ? [] : ['--host', place]),
    ...(port === undefined ? [] : ['--port', String(port)]),
    ...(login === undefined ? [] : ['--username', login]),
  ];
  if (secret === undefined) return { argv, user };
  return {
    argv,
    user,
    env: { PGPASSFILE: '/dev/fd/3' },
    descriptor: (user) => openSecretFile(`*:*:*:*:${secret.replace(/[\\:]/g, '\\$&')}\n`, user),
  };
}

/** `psql` reading statements from its standard input, or from what is appended. */
export function psql(login: DatabaseLogin): ReturnType<typeof postgresqlClient> {
  const client = postgresqlClient('psql', login);
  const words = [
    '--no-psqlrc',
    '--quiet',
    '--no-align',
    '--tuples-only',
    '--set=ON_ERROR_STOP=1',
    '--dbname=postgres',
  ];
  return { ...client, argv: [...client.argv, ...words] };
}
