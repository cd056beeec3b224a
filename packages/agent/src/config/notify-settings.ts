import type { SecretSource } from './service-settings.ts';

/** What a way of telling can be for. */
export const NOTIFY_EVENTS = ['success', 'partial', 'failure'] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number];

/** A command that is run after a run. */
export interface HookSettings {
  /** Unique, for messages. */
  readonly name: string;
  readonly on: readonly NotifyEvent[];
  readonly argv: readonly string[];
  /** Undefined for whom bakker runs as. */
  readonly user: string | undefined;
  readonly timeoutMs: number;
}

/** How often and how long a request is tried. */
export interface RequestLimits {
  /** Of each try. */
  readonly timeoutMs: number;
  /** After the first try. */
  readonly retries: number;
}

/** A monitor that expects a sign of life, by the ways of healthchecks: `URL/start`, `URL`, `URL/fail`. */
export interface PingSettings extends RequestLimits {
  /** Who knows the address can speak for this server: it may be kept like a password. */
  readonly url: string | SecretSource;
}

export interface MailSettings {
  readonly on: readonly NotifyEvent[];
  readonly to: readonly string[];
  /** Undefined: the mail system's own choice. */
  readonly from: string | undefined;
  readonly program: string;
  readonly timeoutMs: number;
}

export interface NtfySettings extends RequestLimits {
  readonly on: readonly NotifyEvent[];
  readonly url: string;
  readonly topic: string;
  readonly token: SecretSource | undefined;
}

/** A file of metrics for the textfile collector of Prometheus' node exporter. */
export interface PrometheusSettings {
  readonly file: string;
}

/** Who is told of runs, and how. */
export interface NotifySettings {
  readonly hooks: readonly HookSettings[];
  readonly ping: PingSettings | undefined;
  readonly mail: MailSettings | undefined;
  readonly ntfy: NtfySettings | undefined;
  readonly prometheus: PrometheusSettings | undefined;
}

export const NOBODY_TOLD: NotifySettings = {
  hooks: [],
  ping: undefined,
  mail: undefined,
  ntfy: undefined,
  prometheus: undefined,
};

export function tellsAnybody({ hooks, ping, mail, ntfy, prometheus }: NotifySettings): boolean {
  return hooks.length > 0 || [ping, mail, ntfy, prometheus].some((way) => way !== undefined);
}
