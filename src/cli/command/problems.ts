/**
 * Converts failures of requests to problems: message, cause, hint and exit status.
 */
import { statSync } from "node:fs"
import { escapeValue } from "../../domain/escape.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { socketPathProblem } from "../../domain/paths.ts"
import type { SendFailure } from "../../rpc/client/sendRequests.ts"
import type { ErrorTag } from "../../rpc/protocol/errorTags.ts"
import type { ReplyError } from "../../rpc/protocol/reply.ts"
import { lockedRefusal } from "./lockedRefusal.ts"
import type { Problem } from "./Output.ts"

/** Returns the problem of a failed connection; `code` is the system's reason. */
export const connectProblem = ({
  code,
  socketPath
}: {
  readonly code: string
  readonly socketPath: string
}): Problem => {
  const tooLong = socketPathProblem(socketPath)
  if (tooLong !== undefined) {
    const fix = "Choose a shorter path with --socket or socket_path"
    const message = `cannot connect to the daemon: ${escapeValue(tooLong)}`
    return { message, code: "data_error", fix, exitStatus: exitStatus.badConfig }
  }
  if (isOther(socketPath)) {
    return {
      message: `cannot connect to the daemon: ${escapeValue(socketPath)} is not a socket`,
      code: "data_error",
      fix: "Choose another path with --socket or socket_path",
      exitStatus: exitStatus.badConfig
    }
  }
  if (code === "EAGAIN") {
    return {
      message: "the daemon does not accept the connection",
      why: `cannot connect to the daemon: its queue of connections is full on ${escapeValue(socketPath)}`,
      code: "timeout",
      fix: "Check whether it hangs: secrets doctor",
      exitStatus: exitStatus.timeout
    }
  }
  return code === "EACCES" || code === "EPERM"
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
        exitStatus: exitStatus.unavailable,
        absent: { socketPath, code }
      }
}

/** Returns whether something else than a socket is at the path. */
const isOther = (socketPath: string): boolean => {
  try {
    return !statSync(socketPath).isSocket()
  } catch {
    return false
  }
}

/** Returns the problem of a request without a usable reply. */
export const clientProblem = (failure: SendFailure): Problem => {
  switch (failure._tag) {
    case "DaemonUnavailable":
      return connectProblem(failure)
    case "InvalidReply":
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
        message: `the daemon did not reply within ${failure.seconds} s`,
        code: "timeout",
        fix: "Check whether it hangs: secrets doctor. A change may still take effect",
        exitStatus: exitStatus.timeout
      }
  }
}

/** Returns the problem of a reply that the daemon cannot have sent. */
export const protocolProblem = (reason: string): Problem => ({
  message: `invalid reply of the daemon: ${reason}`,
  code: "protocol_error",
  fix: "Check what listens on the socket: secrets status",
  exitStatus: exitStatus.failed
})

interface Refusal {
  readonly exitStatus: number
  /** What to do. */
  readonly fix: string
}

const rejected = (fix: string): Refusal => ({ exitStatus: exitStatus.rejected, fix })
const unanswered = (fix: string): Refusal => ({ exitStatus: exitStatus.approvalPending, fix })
const notFound = (fix: string): Refusal => ({ exitStatus: exitStatus.notFound, fix })

const differs = "Restart the daemon, which may be older than this command: secrets daemon restart"
const disk = "Free disk space or correct the permissions there, then try again"

/** The exit status and the hint for each error of the daemon. */
export const refusals = {
  ParseError: rejected(differs),
  MethodNotFound: rejected(differs),
  InvalidParams: rejected("Correct the value named in the message"),
  MissingSecretName: rejected("List the names: secrets list"),
  MissingClientId: rejected("Name the client with --client-id, or leave the flag out"),
  MissingParameter: rejected("Give it a value"),
  TooLong: rejected("Shorten it: a name or --client-id may have 16 KiB, a value 1 MiB"),
  InvalidTtl: rejected("Give the duration units: --ttl 90s, 15m, 24h or 1h30m"),
  TtlTooLong: rejected("Ask for less: see max_lease_ttl in config.json (24h by default)"),
  SecretNotFound: notFound("See the names with: secrets list"),
  SecretExists: rejected("Give it another value with: secrets update NAME"),
  StoreFull: rejected("Delete secrets that are not needed: secrets list"),
  SecretStoreError: rejected(disk),
  StoreReplaced: rejected("See what to do about it: secrets status"),
  StoreLocked: lockedRefusal,
  LockNotKept: rejected(disk),
  StoreUnreadable: rejected("Restore that file, then unlock the store"),
  AmbiguousLease: rejected("Give more of the id: secrets leases --json has all of it"),
  LeaseNotFound: notFound("Give four characters of its id or more: secrets leases"),
  TooManyLeases: rejected("End some: secrets revoke --all, or raise max_active_leases in config.json"),
  RunNotFound: notFound("See what runs: secrets runs"),
  TooManyRuns: rejected("Wait until some programs have ended: secrets runs"),
  RouteNotFound: notFound("See the routes: secrets proxy"),
  ProxyUnavailable: rejected("Read what the daemon logged, then try again"),
  ProxyOnly: rejected("Use it without holding it, through a route: secrets proxy lists them"),
  ValueTooLong: rejected("Write it to a file, and name that in the variable: secrets lease NAME > FILE"),
  LeasesRemain: rejected("Remove the cause that secrets status shows, then delete it again"),
  PartlyRevoked: rejected("Remove the cause that secrets status shows, then revoke them again"),
  NoRotationHook: rejected("Give it one with: secrets update NAME --rotate-via COMMAND"),
  RotationFailed: rejected("See how its command ended: secrets audit --action secret_rotate"),
  DirectAccess: rejected("Lease it: secrets lease NAME"),
  ScanLimit: rejected("Try again tomorrow, or compare one secret by leasing it: secrets lease NAME"),
  AccessDenied: rejected("Use a socket whose role permits it: secrets status lists them"),
  PolicyDenied: rejected("See what the policy permits: secrets policy explain NAME"),
  ApprovalPending: unanswered("Go on with other work, and ask again when a person has run: secrets approve ID"),
  ApprovalDenied: rejected("Do not ask again; the person can still change that: secrets approve ID"),
  ApprovalExpired: unanswered("Ask again when a person can answer; they see what waits with: secrets requests"),
  RequestNotFound: notFound("See the open requests: secrets requests"),
  TooManyRequests: rejected("Answer some, or wait until they are over: secrets requests"),
  RestartRefused: rejected("Wait and try again"),
  RestartNotAllowed: rejected("Restart it as the user whose daemon it is"),
  AuditLogError: rejected("Remove the cause that secrets status shows: the daemon then continues by itself"),
  TeamAway: rejected("See why, and whether it is back: secrets team status"),
  FileError: rejected(disk),
  Stopping: rejected("Wait for the next daemon: secrets status --wait 30s"),
  TooManyConnections: rejected("Close connections that are not used, then try again"),
  MemoryExceeded: rejected("Try again later"),
  InternalError: rejected("Read what the daemon logged on standard error")
} as const satisfies Readonly<Record<ErrorTag, Refusal>>

/** Returns the problem of a request that the daemon rejected, by the tag of its error. */
export const refusalProblem = ({ message, request, tag, ttl }: Omit<ReplyError, "code">): Problem => ({
  message,
  code: tag ?? "generic_error",
  ...(request && { request: { request_id: request.request_id, expires_at: request.expires_at } }),
  ...(tag === undefined ? rejected("") : withRequestId(refusals[tag], message)),
  ...(ttl && { fix: `Ask for at most ${ttl.maximum} instead of ${ttl.requested}: that is the daemon's max_lease_ttl` })
})

/** Names the request that an error is about, where its hint has a placeholder. */
const withRequestId = (refusal: Refusal, message: string): Refusal => {
  const [, id] = refusal.fix.endsWith(" ID") ? (/\b(?:pending:|request) ([A-Z]{4})\b/.exec(message) ?? []) : []
  return id === undefined ? refusal : { ...refusal, fix: refusal.fix.replace(/ID$/, id) }
}
