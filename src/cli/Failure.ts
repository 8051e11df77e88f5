/**
 * A command that did not work: one line of what, one of what to do, an exit status.
 *
 * `code` is the word for programs, one of the predecessor's: misuse, data_error,
 * timeout, io_error, protocol_error, daemon_unavailable, generic_error.
 */
import * as Data from "effect/Data"
import type { ClientError } from "../rpc/client.ts"
import { exitCode } from "./exitCode.ts"

export class Failure extends Data.TaggedError("Failure")<{
  readonly message: string
  readonly code: string
  readonly fix: string
  readonly exitCode: number
}> {}

/** The command line is wrong. Never quotes what may be a value. */
export const misuse = (message: string, fix: string): Failure =>
  new Failure({ message, code: "misuse", fix, exitCode: exitCode.usage })

export const fromClient = (error: ClientError): Failure => {
  switch (error._tag) {
    case "DaemonUnavailable":
      return error.code === "EACCES"
        ? new Failure({
            message: error.message,
            code: "daemon_unavailable",
            fix: "Use the account the daemon runs for. If you were just added to its group, log in again.",
            exitCode: exitCode.permission
          })
        : new Failure({
            message: error.message,
            code: "daemon_unavailable",
            fix: "Start it with: secrets serve",
            exitCode: exitCode.unavailable
          })
    case "NoAnswer":
      return new Failure({
        message: error.message,
        code: "timeout",
        fix: "See whether it hangs: secrets status",
        exitCode: exitCode.timeout
      })
    case "BadAnswer":
      return new Failure({
        message: error.message,
        code: "protocol_error",
        fix: "See what listens on the socket: secrets status",
        exitCode: exitCode.failed
      })
    case "Refused":
      return refused(error)
  }
}

const refused = ({ code, message }: { readonly code: number; readonly message: string }): Failure => {
  if (code === -32000) return notFound(message, "See the names with: secrets list")
  if (code === -32001) return notFound(message, "It has ended already. See what happened with: secrets audit")
  const [, fix = ""] = fixes.find(([beginning]) => message.startsWith(beginning)) ?? []
  return new Failure({ message, code: "generic_error", fix, exitCode: exitCode.refused })
}

const notFound = (message: string, fix: string): Failure =>
  new Failure({ message, code: "generic_error", fix, exitCode: exitCode.notFound })

/** What helps against refusals that a person meets, by how their messages begin. */
const fixes: ReadonlyArray<readonly [beginning: string, fix: string]> = [
  ["invalid TTL duration", "Ask for less: the daemon grants at most its max_lease_ttl, 24h unless configured"],
  ["nothing was changed, because", "The daemon goes on by itself when the cause is gone. See it with: secrets status"],
  ["failed to write secrets file", "Nothing was changed. Make room or mend the permissions there, and try again"],
  ["the store is full", "Delete secrets that nobody needs: secrets list"],
  ["there are too many active leases", "End some: secrets revoke --all, or raise max_active_leases in config.json"]
]
