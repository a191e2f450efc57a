/**
 * The word of memory into which a host's runtime writes that its CPU limit for the running request is near, where it
 * has one: a capability of the port, watched by the budget.
 */
export interface SignalWord {
  /** What the runtime wrote; 0: nothing. */
  read(): number;
  clear(): void;
}
