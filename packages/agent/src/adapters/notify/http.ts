import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseHttpUrl } from '../../config/read-notify.ts';
import type { RequestLimits } from '../../config/notify-settings.ts';
import { VERSION } from '../../cli/version.ts';

/** Waits before each further try; the last one counts for all that follow. */
const RETRY_AFTER_MS = [1_000, 5_000, 15_000];

export interface Post {
  readonly url: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limits: RequestLimits;
  readonly signal: AbortSignal;
}

/**
 * Sends a POST request until it is accepted, refused for good, or the tries are used up. Redirections are not followed:
 * they could carry a secret elsewhere.
 *
 * @throws Error that names the host only, since the rest of a URL may be a secret
 */
export async function post(options: Post): Promise<void> {
  const { limits, signal } = options;
  const url = parseHttpUrl(options.url);
  if (url === undefined) throw new Error('its URL must begin with https:// or http://');
  for (let tries = 0; ; tries++) {
    const failure = await attempt(url, options);
    if (failure === undefined) return;
    if (failure.isFinal || tries >= limits.retries || signal.aborted)
      throw new Error(`${url.host} ${failure.why}${tries === 0 ? '' : ` (tried ${tries + 1} times)`}`);
    const waitMs = RETRY_AFTER_MS[Math.min(tries, RETRY_AFTER_MS.length - 1)];
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

interface Failure {
  readonly why: string;
  /** Trying again would end the same. */
  readonly isFinal: boolean;
}

/** One request, from name look-up to the end of the answer, within the time limit. */
async function attempt(url: URL, { body, headers, limits, signal }: Post): Promise<Failure | undefined> {
  const deadline = AbortSignal.timeout(limits.timeoutMs);
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      const why = deadline.aborted ? `did not answer within ${limits.timeoutMs / 1000} s` : reasonOf(error);
      resolve({ why, isFinal: signal.aborted });
    };
    const bytes = Buffer.from(body);
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method: 'POST',
      agent: false,
      signal: AbortSignal.any([deadline, signal]),
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': bytes.length,
        'user-agent': `bakker/${VERSION}`,
        ...headers,
      },
    });
    request.on('error', fail);
    request.on('response', (response) => {
      const { statusCode = 0 } = response;
      // the status says all; an answer without end is of no interest
      response.on('error', () => undefined);
      response.destroy();
      resolve(judge(statusCode));
    });
    request.end(bytes);
  });
}

function judge(status: number): Failure | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status >= 300 && status < 400)
    return { why: `answered ${status}: it is somewhere else now; correct the URL`, isFinal: true };
  const isFinal = status !== 408 && status !== 429 && status < 500;
  return { why: `answered ${status} ${http.STATUS_CODES[status] ?? ''}`.trimEnd(), isFinal };
}

/** Of several addresses that were tried, the first one's. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const { message } = first instanceof Error ? first : error;
  return `can't be reached: ${message}`;
}
