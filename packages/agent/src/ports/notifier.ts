import type { BackupReport } from '../backup/report.ts';
import type {
  HookSettings,
  MailSettings,
  NtfySettings,
  PingSettings,
  PrometheusSettings,
} from '../config/notify-settings.ts';
import type { Space } from './storage-account.ts';

/** `log` leaves the monitor's opinion as it is. */
export type PingEvent = 'start' | 'success' | 'fail' | 'log';

/** What a hook gets to know. */
export interface HookInput {
  /** `BAKKER_…` */
  readonly env: Readonly<Record<string, string>>;
  /** JSON, for its standard input. */
  readonly stdin: string;
}

export interface NtfyMessage {
  readonly title: string;
  readonly text: string;
  /** 1 to 5; 3 is the usual one. */
  readonly priority: number;
  readonly tags: readonly string[];
}

export interface Sending {
  /** Aborts when there is no more time for any of it. */
  readonly signal: AbortSignal;
}

/**
 * The ways to tell somebody. Each ends within its own limits, and throws an error whose message can be shown: it holds no
 * secret.
 */
export interface Notifier {
  runHook(hook: HookSettings, input: HookInput, sending: Sending): Promise<void>;
  ping(settings: PingSettings, message: { event: PingEvent; body: string }, sending: Sending): Promise<void>;
  /** @param text - a whole message with its headers */
  sendMail(settings: MailSettings, text: string, sending: Sending): Promise<void>;
  publish(settings: NtfySettings, message: NtfyMessage, sending: Sending): Promise<void>;
  /** Whole or not at all. */
  writeMetrics(settings: PrometheusSettings, text: string): Promise<void>;
}

/** What has to be remembered from one telling to the next. It can be lost without losing a backup. */
export interface Told {
  /** Of the last published run: metrics go on showing it when later ones fail. */
  readonly figures?: { readonly report: BackupReport; readonly space?: Space | undefined } | undefined;
  /** systemd's name of the start whose failure was told already. */
  readonly invocation?: string;
}

export interface NotifyMemory {
  /** Empty if there is none, or none that can be read. */
  read(): Promise<Told>;
  save(told: Told): Promise<void>;
}
