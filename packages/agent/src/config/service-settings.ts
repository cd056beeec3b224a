/** Where a secret is; it is read when it is needed, and kept nowhere. */
export type SecretSource =
  | { readonly from: 'file'; readonly file: string }
  /** A systemd credential: `LoadCredential=NAME:…` in the unit. */
  | { readonly from: 'credential'; readonly name: string }
  | { readonly from: 'environment'; readonly name: string };

/** How a database is reached. What is undefined is left to the database's own client. */
export interface DatabaseLogin {
  /** The user of this machine that the client runs as; undefined for whom bakker runs as. */
  readonly user: string | undefined;
  /** The database's own user. */
  readonly login: string | undefined;
  readonly password: SecretSource | undefined;
  /** Socket file (PostgreSQL: its folder). */
  readonly socket: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
}

export interface CommandSettings {
  readonly kind: 'command';
  readonly enter: readonly string[];
  /** Undefined if entering leaves nothing behind. */
  readonly leave: readonly string[] | undefined;
  readonly user: string | undefined;
}

export interface SystemdSettings {
  readonly kind: 'systemd';
  readonly units: readonly string[];
  readonly by: 'stop' | 'freeze';
}

export interface NextcloudSettings {
  readonly kind: 'nextcloud';
  /** The folder that `occ` is in. */
  readonly path: string;
  readonly user: string;
  readonly php: string;
}

export interface MariadbSettings {
  readonly kind: 'mariadb' | 'mysql';
  readonly by: 'backup-stage' | 'read-lock';
  readonly login: DatabaseLogin;
}

export interface PostgresqlSettings {
  readonly kind: 'postgresql';
  /** `checkpoint`: all of it lies on one volume. `backup-mode`: on several. */
  readonly by: 'checkpoint' | 'backup-mode';
  readonly login: DatabaseLogin;
}

export interface SqliteSettings {
  readonly kind: 'sqlite';
  readonly files: readonly string[];
}

export interface RedisSettings {
  readonly kind: 'redis';
  readonly by: 'bgsave' | 'save';
  readonly login: DatabaseLogin;
}

export interface MariadbDumpSettings {
  readonly kind: 'mariadb-dump' | 'mysql-dump';
  /** Empty for all. */
  readonly databases: readonly string[];
  readonly login: DatabaseLogin;
}

export interface PostgresqlDumpSettings {
  readonly kind: 'postgresql-dump';
  /** Undefined for all, with roles and tablespaces. */
  readonly database: string | undefined;
  readonly login: DatabaseLogin;
}

export interface SqliteDumpSettings {
  readonly kind: 'sqlite-dump';
  readonly file: string;
  readonly maxSizeBytes: number;
}

/** What one kind of service says. */
export type KindSettings =
  | CommandSettings
  | SystemdSettings
  | NextcloudSettings
  | MariadbSettings
  | PostgresqlSettings
  | SqliteSettings
  | RedisSettings
  | MariadbDumpSettings
  | PostgresqlDumpSettings
  | SqliteDumpSettings;

/** One entry of `services`, in the order of the file. */
export type ServiceSettings = KindSettings & {
  /** Unique; files are named after it. */
  readonly name: string;
  readonly timeoutMs: number;
};
