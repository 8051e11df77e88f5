/**
 * A problem as the error of an Effect, and what the errors of the client are as one.
 */
import * as Data from "effect/Data"
import type { ClientError } from "../../rpc/client/client.ts"
import * as Output from "./Output.ts"
import { protocolProblem, timeoutProblem, refusalProblem, connectProblem } from "./problems.ts"

export class CommandError extends Data.TaggedError("Failure")<Output.Problem> {}

/** The command line is wrong. Never quotes what may be a value. */
export const failUsage = (message: string, fix: string): CommandError =>
  new CommandError(Output.usageError(message, fix))

export const fromClient = (error: ClientError): CommandError => {
  switch (error._tag) {
    case "DaemonUnavailable":
      return new CommandError(connectProblem(error))
    case "NoAnswer":
      return new CommandError(timeoutProblem(error))
    case "BadAnswer":
      return new CommandError(protocolProblem(error.reason))
    case "Refused":
      return new CommandError(refusalProblem(error))
  }
}
