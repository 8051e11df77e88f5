/**
 * Settings for the commands that start without a library: paths of config.json, joined ones,
 * and the rule for a client id.
 */
import { isAbsolute, join } from "node:path"

/** The bytes that sun_path has, without the terminating zero: 108 on Linux, 104 on macOS. */
export const maxSocketPath = process.platform === "linux" ? 107 : 103

/** Returns why a socket cannot have this path; undefined if it can. */
export const socketPathProblem = (socketPath: string): string | undefined => {
  const length = Buffer.byteLength(socketPath)
  return length <= maxSocketPath
    ? undefined
    : `the socket path ${socketPath} has ${length} bytes; a socket address holds at most ${maxSocketPath}`
}

/** Resolves `~/`; undefined if the result is not an absolute path. */
export const pathIn = (value: unknown, home: string): string | undefined => {
  if (typeof value !== "string") return undefined
  const whole = value.startsWith("~/") ? join(home, value.slice(2)) : value
  return isAbsolute(whole) ? whole : undefined
}

/** Joins like Node's `join`, whose first call is slow and is avoided for plain paths. */
export const below = (directory: string, name: string): string =>
  plain.test(directory) ? `${directory}/${name}` : join(directory, name)

/** Absolute, without `.`, `..` or empty segments. */
const plain = /^(\/(?!\.{1,2}(\/|$))[^/]+)+$/

/** Keeps the absolute entries of a PATH: any other one, also an empty one, is looked up where a program happens to run. */
export const absoluteEntries = (searchPath = ""): string =>
  searchPath
    .split(":")
    .filter((entry) => isAbsolute(entry))
    .join(":") || "/usr/local/bin:/usr/bin:/bin"

/** Returns where the daemon logs under launchd: as an agent of a user, and as a daemon of the system. */
export const launchdLogs = (home: string, directory: string) => ({
  agent: below(home, "Library/Logs/agent-secrets.log"),
  daemon: below(directory, "daemon.log")
})

/** Longer ones, and ones with control characters, would make a mess of tables and of the audit log. */
export const clientIdPattern = /^[^\p{Cc}]{1,256}$/u
export const clientIdExpected = "a text of 1 to 256 characters without control characters"
