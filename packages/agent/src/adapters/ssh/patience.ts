/** How long a storage is waited for. Only tests have other times. */
export interface Patience {
  /** Between two signs of life that are asked for. */
  readonly signOfLifeMs: number;
  /** For the system's ssh to log in, by whatever way, and for the SFTP server behind it. */
  readonly logInMs: number;
  /** For the greeting of an SFTP server on a connection that stands. */
  readonly greetingMs: number;
  /** The same for further channels: what others send, over a thin line, goes ahead of it. */
  readonly furtherGreetingMs: number;
  /** For anything at all while requests are unanswered: a copy of a very large file on a slow disk is one request. */
  readonly answerMs: number;
}

export const PATIENCE: Patience = {
  signOfLifeMs: 15_000,
  logInMs: 120_000,
  greetingMs: 60_000,
  furtherGreetingMs: 600_000,
  answerMs: 6 * 3_600_000,
};
