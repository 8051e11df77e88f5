/**
 * Converts failures of requests to problems: message, cause, hint and exit status.
 */
import { escapeValue } from "../../domain/escape.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import type { SendFailure } from "../../rpc/client/sendRequests.ts"
import type { ErrorTag } from "../../rpc/protocol/errorTags.ts"
import type { ReplyError } from "../../rpc/protocol/reply.ts"
import type { Problem } from "./Output.ts"

/** Returns the problem of a failed connection; `code` is the system's reason. */
export const connectProblem = ({ code, socketPath }: { readonly code: string; readonly socketPath: string }): Problem =>
  code === "EACCES" || code === "EPERM"
    ? {
        message: "no permission to use the daemon's socket",
        why: socketPath,
        code: "daemon_unavailable",
        fix: "Use the account the daemon runs for, or admit yours with socket_mode and socket_group",
        exitStatus: exitStatus.permission,
        denied: socketPath
      }
    : {
        message: "the daemon is not running",
        // Callers tell this failure from others by "connect" before "daemon".
        why: `cannot connect to the daemon: nothing listens on ${escapeValue(socketPath)} (${code})`,
        code: "daemon_unavailable",
        fix: "Start it with: secrets serve",
        exitStatus: exitStatus.unavailable
      }

/** Returns the problem of a request without a usable reply. */
export const clientProblem = (failure: SendFailure): Problem => {
  switch (failure._tag) {
    case "DaemonUnavailable":
      return connectProblem(failure)
    case "InvalidResponse":
      return protocolProblem(failure.reason)
    case "UnsafeSocket":
      return {
        message: "the socket is not safe to use for values",
        why: failure.reason,
        code: "unsafe_socket",
        fix: failure.fix,
        exitStatus: exitStatus.permission
      }
    case "RequestTimedOut":
      return {
        message: `the daemon did not answer within ${failure.seconds} s`,
        code: "timeout",
        fix: "Check whether it hangs: secrets status",
        exitStatus: exitStatus.timeout
      }
  }
}

/** Returns the problem of a response that the daemon cannot have sent. */
export const protocolProblem = (reason: string): Problem => ({
  message: `invalid response of the daemon: ${reason}`,
  code: "protocol_error",
  fix: "Check what listens on the socket: secrets status",
  exitStatus: exitStatus.failed
})

interface Refusal {
  readonly exitStatus: number
  /** What to do. */
  readonly fix: string
}

const refused = (fix: string): Refusal => ({ exitStatus: exitStatus.refused, fix })
const notFound = (fix: string): Refusal => ({ exitStatus: exitStatus.notFound, fix })

const differs = "Restart the daemon, which may be older than this command: secrets daemon restart"
const disk = "Free disk space or correct the permissions there, then try again"

/** The exit status and the hint for each error of the daemon. */
export const refusals = {
  ParseError: refused(differs),
  MethodNotFound: refused(differs),
  InvalidParams: refused("Correct the value named in the message"),
  MissingSecretName: refused("List the names: secrets list"),
  MissingClientId: refused("Name the client with --client-id, or leave the flag out"),
  MissingParameter: refused("Give it a value"),
  TooLong: refused("Shorten it: a name or --client-id may have 16 KiB, a value 1 MiB"),
  InvalidTtl: refused("Give the duration units: --ttl 90s, 15m, 24h or 1h30m"),
  TtlTooLong: refused("Ask for less: see max_lease_ttl in config.json (24h by default)"),
  SecretNotFound: notFound("See the names with: secrets list"),
  SecretExists: refused("Give it another value with: secrets update NAME"),
  StoreFull: refused("Delete secrets that are not needed: secrets list"),
  SecretStoreError: refused(disk),
  StoreReplaced: refused("See what to do about it: secrets status"),
  StoreLocked: refused("Unlock it in a terminal: secrets unlock"),
  LockNotKept: refused(disk),
  StoreUnreadable: refused("Restore that file, then unlock the store"),
  LeaseNotFound: notFound("See the active leases: secrets leases"),
  TooManyLeases: refused("End some: secrets revoke --all, or raise max_active_leases in config.json"),
  LeasesRemain: refused("Remove the cause that secrets status shows, then delete it again"),
  PartlyRevoked: refused("Remove the cause that secrets status shows, then revoke them again"),
  NoRotationHook: refused("Give it one with: secrets update NAME --rotate-via COMMAND"),
  RotationFailed: refused("See what happened with: secrets audit"),
  DirectAccess: refused("Lease it: secrets lease NAME"),
  ScanLimit: refused("Try again tomorrow, or compare one secret by leasing it: secrets lease NAME"),
  AccessDenied: refused("Use a socket whose role permits it: secrets status lists them"),
  RestartRefused: refused("Wait and try again, or restart it as the user whose daemon it is"),
  AuditLogError: refused("Remove the cause that secrets status shows: the daemon then continues by itself"),
  FileError: refused(disk),
  Stopping: refused("Wait for the next daemon: secrets status --wait 30s"),
  TooManyConnections: refused("Close connections that are not used, then try again"),
  MemoryExceeded: refused("Try again later"),
  InternalError: refused("Read what the daemon logged on standard error")
} as const satisfies Readonly<Record<ErrorTag, Refusal>>

/** Returns the problem of a request that the daemon rejected, by the tag of its error. */
export const refusalProblem = ({ message, tag }: Omit<ReplyError, "code">): Problem => ({
  message,
  code: tag ?? "generic_error",
  ...(tag === undefined ? refused("") : refusals[tag])
})
