/** A file that was read, and whether others than its owner may read it, too. */
export interface KeyFile {
  readonly text: string;
  readonly isExposed: boolean;
}

/** Where keys lie on this machine, and where a person or a service hands one over. */
export interface KeyFiles {
  /** Undefined if there is none. At most 64 KiB. @throws AgentError KEY_MISSING if it can't be read */
  read(file: string): Promise<KeyFile | undefined>;
  /** Makes a new file, mode 0600, whole or not at all. @throws AgentError USAGE if it exists or can't be written */
  create(file: string, text: string): Promise<void>;
  /** Puts `text` in place of the file, whole or not at all, mode 0644. @throws AgentError USAGE if it can't be written */
  replace(file: string, text: string): Promise<void>;
  /** Undefined if not set, or empty. */
  environment(name: string): string | undefined;
  /**
   * One line from the terminal, not shown; undefined if nobody is there.
   *
   * @param goesOn - whether another line belongs to what was typed so far; an empty line ends it in any case
   */
  askSecret(question: string, goesOn?: (typed: string) => boolean): Promise<string | undefined>;
}
