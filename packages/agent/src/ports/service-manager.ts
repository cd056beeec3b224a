/** A unit of systemd as a file. */
export interface UnitFile {
  readonly name: string;
  readonly text: string;
}

/** systemd, as `init --timer` uses it. */
export interface ServiceManager {
  /** How this bakker is started. */
  readonly launcher: string;
  /** Where units are written, to say so. */
  readonly unitFolder: string;
  /** Whether systemd runs this machine. */
  isThere(): Promise<boolean>;
  /** The units that come with bakker, by name. @throws the errno error */
  template(name: string): Promise<string>;
  /** Undefined if there is none of that name. */
  readUnit(name: string): Promise<string | undefined>;
  /** Whole or not at all. @throws AgentError STATE_UNUSABLE */
  writeUnit(unit: UnitFile): Promise<void>;
  isEnabled(unit: string): Promise<boolean>;
  /** Lets systemd read the units, and enables them; timers start at once. @throws AgentError STATE_UNUSABLE */
  enable(units: readonly string[]): Promise<void>;
}
