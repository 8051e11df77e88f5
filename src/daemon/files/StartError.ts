/**
 * The daemon cannot start, and a retry would fail as well: the reason, a hint for the
 * person, and the exit status for the supervisor.
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
