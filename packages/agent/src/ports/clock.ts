/** The wall clock, so that tests can hold it. */
export interface Clock {
  /** Unix time in milliseconds. */
  nowMs(): number;
}
