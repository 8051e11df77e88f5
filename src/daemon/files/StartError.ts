/**
 * The daemon cannot start, and starting again would not help: what is in the way,
 * what a person can do, and the exit status a supervisor sees.
 */
import * as Data from "effect/Data"

export class StartError extends Data.TaggedError("StartError")<{
  readonly reason: string
  readonly fix: string
  readonly exitStatus: number
}> {
  override get message() {
    return this.reason
  }
}
