/**
 * A problem as the error of an Effect.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { ClientError } from "../../rpc/client/client.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import * as Output from "./Output.ts"
import { explainAccess } from "./ownership.ts"
import { clientProblem, refusalProblem } from "./problems.ts"

export class CommandError extends Data.TaggedError("CommandError")<Output.Problem> {}

/** Rejects a wrong command line. The message must not quote a possible value. */
export const failUsage = (message: string, fix: string): CommandError =>
  new CommandError(Output.usageError(message, fix))

/** Returns the current directory, or fails if it was removed. */
export const workingDirectory = Effect.try({
  try: () => process.cwd(),
  catch: () => failUsage("the current directory was removed", "Change to another directory")
})

/** Returns the error of a person who answered no, or not at all. */
export const failDeclined = (outcome: string, fix = "Answer y to go on, or pass --yes"): CommandError =>
  new CommandError({
    message: `cancelled: ${outcome}`,
    code: "cancelled",
    fix,
    exitStatus: exitStatus.failed
  })

export const fromClient = (error: ClientError): CommandError =>
  new CommandError(error._tag === "RequestRejected" ? refusalProblem(error) : explainAccess(clientProblem(error)))
