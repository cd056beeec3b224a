/** What a long command tells the person who waits. Nothing here is part of a result. */
export interface Progress {
  /** Names what happens now, in the words of a sentence: `comparing with 2024_04_18_01`. */
  stage(text: string): void;
  /** What the whole will be, once it is known. */
  expect(total: { files?: number; bytes?: number }): void;
  /** Work done since the last call. */
  advance(done: { files?: number; bytes?: number }): void;
  /** A line that stays: printed above the bar. Names in it are escaped by the adapter. */
  message(text: string): void;
  warning(text: string): void;
}
