/**
 * A problem as the error of an Effect, and what the errors of the client are as one.
 */
import * as Data from "effect/Data"
import type { ClientError } from "../../rpc/client/client.ts"
import * as Output from "./Output.ts"
import { badAnswer, noAnswer, refused, unreachable } from "./problems.ts"

export class Failure extends Data.TaggedError("Failure")<Output.Problem> {}

/** The command line is wrong. Never quotes what may be a value. */
export const misuse = (message: string, fix: string): Failure => new Failure(Output.misuse(message, fix))

export const fromClient = (error: ClientError): Failure => {
  switch (error._tag) {
    case "DaemonUnavailable":
      return new Failure(unreachable(error))
    case "NoAnswer":
      return new Failure(noAnswer(error))
    case "BadAnswer":
      return new Failure(badAnswer(error.reason))
    case "Refused":
      return new Failure(refused(error))
  }
}
