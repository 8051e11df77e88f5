/**
 * The daemon cannot start, and starting again would not help: what is in the way,
 * what a person can do, and the exit status a supervisor sees (sysexits.h).
 */
import * as Data from "effect/Data"

export const exitStatus = {
  /** The store cannot be read. */
  unreadableStore: 65,
  /** A directory, file or socket cannot be made. */
  cannotCreate: 73,
  /** Another daemon is at work here. */
  alreadyRunning: 75,
  /** A setting is wrong. */
  badConfig: 78
} as const

export class StartError extends Data.TaggedError("StartError")<{
  readonly reason: string
  readonly fix: string
  readonly exitStatus: number
}> {
  override get message() {
    return this.reason
  }
}
