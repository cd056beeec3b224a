import { escapeName } from '@bakker/command-line';

/** A path (absolute, or relative to `/`) for messages: absolute, and nothing in it can steer a terminal. */
export function showPath(path: Uint8Array): string {
  const shown = escapeName(path);
  return shown.startsWith('/') ? shown : `/${shown}`;
}
