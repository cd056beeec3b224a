/** `0.4 s`: how long services stood still; tenths matter. */
export function formatWindow(windowMs: number): string {
  return `${(windowMs / 1000).toFixed(1)} s`;
}
