/**
 * What can be wrong between a command and the daemon, said to a person: what, why
 * or where, and what to do.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import type { Problem } from "./Output.ts"

/** Nobody answers on the socket, or it may not be used; `code` is the system's reason. */
export const connectProblem = ({ code, socketPath }: { readonly code: string; readonly socketPath: string }): Problem =>
  code === "EACCES" || code === "EPERM"
    ? {
        message: "no permission to use the daemon's socket",
        why: socketPath,
        code: "daemon_unavailable",
        fix: whoMay(socketPath),
        exitStatus: exitStatus.permission
      }
    : {
        message: "the daemon is not running",
        // Callers tell this failure from others by "connect" before "daemon".
        why: `cannot connect to the daemon: nobody listens on ${socketPath} (${code})`,
        code: "daemon_unavailable",
        fix: "Start it with: secrets serve",
        exitStatus: exitStatus.unavailable
      }

/** Whom the socket is for, as far as this user may see it: often its directory lets nobody look further. */
const whoMay = (socketPath: string): string => {
  for (const [place, bits] of [
    [socketPath, 0o060],
    [dirname(socketPath), 0o010]
  ] as const) {
    try {
      const { gid, mode } = statSync(place)
      if ((mode & bits) === bits) {
        return `Join the group ${groupName(gid)} and log in again; a session keeps the groups it began with`
      }
      break
    } catch {
      continue
    }
  }
  return "Use the account the daemon runs for, or have its socket_mode and socket_group let yours in"
}

/** The name of a group where /etc/group has it; macOS keeps some elsewhere. */
const groupName = (gid: number): string => {
  try {
    const lines = readFileSync("/etc/group", "utf8").split("\n")
    return lines.find((line) => line.split(":")[2] === `${gid}`)?.split(":")[0] ?? `${gid}`
  } catch {
    return `${gid}`
  }
}

/** The daemon took the connection and gave no answer in time. */
export const timeoutProblem = ({ seconds }: { readonly seconds: number }): Problem => ({
  message: `the daemon did not answer within ${seconds} s`,
  code: "timeout",
  fix: "See whether it hangs: secrets status",
  exitStatus: exitStatus.timeout
})

/** What came back is no answer of the daemon. */
export const protocolProblem = (reason: string): Problem => ({
  message: `the daemon's answer cannot be used: ${reason}`,
  code: "protocol_error",
  fix: "See what listens on the socket: secrets status",
  exitStatus: exitStatus.failed
})

/** The daemon said no. */
export const refusalProblem = ({ code, message }: { readonly code: number; readonly message: string }): Problem => {
  if (code === -32000) return notFound(message, "See the names with: secrets list")
  if (code === -32001) return notFound(message, "It has ended already. See what happened with: secrets audit")
  if (code === -32601) return { message, code: "protocol_error", fix: tooOld, exitStatus: exitStatus.refused }
  const [, fix = ""] = fixes.find(([telling]) => telling.test(message)) ?? []
  return { message, code: "generic_error", fix, exitStatus: exitStatus.refused }
}

const tooOld = "The daemon is older than this command. Start it anew: secrets daemon restart"

const notFound = (message: string, fix: string): Problem => ({
  message,
  code: "generic_error",
  fix,
  exitStatus: exitStatus.notFound
})

/** What helps against refusals that a person meets, by what their messages say. Names in these are quoted. */
const fixes: ReadonlyArray<readonly [telling: RegExp, fix: string]> = [
  [/^invalid TTL duration/, "Ask for less: the daemon grants at most its max_lease_ttl, 24h unless configured"],
  [/^invalid ttl duration/, "A duration has units: --ttl 90s, 15m, 24h or 1h30m"],
  [/^nothing was changed, because/, "The daemon goes on by itself when the cause is gone. See it with: secrets status"],
  [/^failed to write secrets file/, "Nothing was changed. Make room or mend the permissions there, and try again"],
  [/^the store is full/, "Delete secrets that nobody needs: secrets list"],
  [/^there are too many active leases/, "End some: secrets revoke --all, or raise max_active_leases in config.json"],
  [/"?: secret already exists$/, "Give it another value with: secrets update NAME"],
  [/"?: no rotation hook configured$/, "Give it one with: secrets update NAME --rotate-via COMMAND"],
  [/^(secret_name|name) is (required|longer)/, "Name a secret: secrets list"],
  [/^client_id is (required|longer)/, "Say who asks with --client-id, or leave it out"]
]
