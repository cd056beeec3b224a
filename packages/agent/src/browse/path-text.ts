import { escapeName } from '@bakker/command-line';

/** A path of a run (relative to `/`) for messages: absolute, and nothing in it can steer a terminal. */
export function pathText(path: Uint8Array): string {
  return `/${escapeName(path)}`;
}

/** A path in JSON: as text, and the exact bytes as well where the text can't say them. */
export function pathJson(path: Uint8Array): { path: string; pathBase64?: string } {
  const text = escapeName(path);
  if (Buffer.from(text).equals(path)) return { path: `/${text}` };
  return { path: `/${text}`, pathBase64: Buffer.concat([Buffer.from('/'), path]).toString('base64') };
}
