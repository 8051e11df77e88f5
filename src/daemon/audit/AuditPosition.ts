/**
 * Where in the audit log a program has read to. It names the entry before by its number and its hash.
 */

/** A place between two entries. */
export interface AuditPosition {
  /** The number of the entry before it; 0 at the beginning. */
  readonly seq: number
  /** SHA-256 of that entry's line with its line feed; identifies the log of this position. */
  readonly line: string
  /** The time of that entry. */
  readonly at: string
  /** Changes when another process moves or truncates the log while the daemon runs. */
  readonly generation: number
}
