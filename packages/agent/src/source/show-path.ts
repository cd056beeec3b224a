/** A path (absolute, or relative to `/`) for messages: absolute, control characters escaped, never raw on a terminal. */
export function showPath(path: Uint8Array): string {
  const text = Buffer.from(path).toString();
  const absolute = text.startsWith('/') ? text : `/${text}`;
  return absolute.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
