import type { NtfySettings, PingSettings } from '../../config/notify-settings.ts';
import { parseHttpUrl } from '../../config/read-notify.ts';
import type { NtfyMessage, PingEvent, Sending } from '../../ports/notifier.ts';
import { readSecret } from '../services/secrets.ts';
import { post } from './http.ts';

const ENDING: Readonly<Record<PingEvent, string>> = {
  start: '/start',
  success: '',
  fail: '/fail',
  log: '/log',
};

/** A sign of life for a monitor of the healthchecks kind. */
export async function ping(
  settings: PingSettings,
  { event, body }: { event: PingEvent; body: string },
  { signal }: Sending,
): Promise<void> {
  const base = typeof settings.url === 'string' ? settings.url : readSecret(settings.url);
  const url = parseHttpUrl(base);
  if (url === undefined) throw new Error('its URL must begin with https:// or http://');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${ENDING[event]}`;
  await post({ url: url.href, body, limits: settings, signal });
}

/** As JSON, in which a text can be no header. */
export async function publish(
  settings: NtfySettings,
  message: NtfyMessage,
  { signal }: Sending,
): Promise<void> {
  const { title, text, priority, tags } = message;
  const token = settings.token === undefined ? undefined : readSecret(settings.token);
  await post({
    url: settings.url,
    body: JSON.stringify({ topic: settings.topic, title, message: text, priority, tags }),
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    limits: settings,
    signal,
  });
}
