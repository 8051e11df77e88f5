/**
 * The section `team` of config.json: the database that several machines share, and how this one
 * connects to it. Which machines there are is signed, and pinned in team.json.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { hour, millisecond, second } from "./GoDuration.ts"
import { duration, filePath, flag, oneOf, optionalSetting, section, setting, text } from "./Setting.ts"

export const machineNamePattern = /^[a-z0-9][a-z0-9-]{0,39}$/u
const machineName = text(machineNamePattern, "a name of a-z, 0-9 and -")

const passwordlessHosts = new Set(["localhost", "127.0.0.1", "[::1]"])

const passwordElsewhere = "use team.password_file or a client certificate"

/** Returns why nothing must connect to an address like that; undefined if it may. */
export const databaseProblem = (given: string, elsewhere = passwordElsewhere): string | undefined => {
  if (!URL.canParse(given)) return "must be the URL of a database"
  const url = new URL(given)
  if (url.password !== "") return `must not hold a password: ${elsewhere}`
  if (url.username === "" || url.pathname.length < 2) return "must name the role and the database"
  if (url.hostname.includes(",")) return "must name one server"
  if (!isDecodable(url.username + url.pathname)) return "must have valid escapes in the role and the database"
  const names = [...url.searchParams.keys()]
  const unknown = names.find((key) => key !== "sslmode" && key !== "host")
  if (unknown !== undefined) return `must not have the parameter ${unknown}`
  const twice = names.find((key, at) => names.indexOf(key) !== at)
  if (twice !== undefined) return `must have the parameter ${twice} once`
  const [mode, directory] = [url.searchParams.get("sslmode"), url.searchParams.get("host")]
  if (!isLocalDatabase(url)) {
    if (mode !== "verify-full") return "must have sslmode=verify-full, because the server is not on this machine"
    return directory === null
      ? undefined
      : "must have a directory as the parameter host: name a server before the slash"
  }
  if (mode === null) return undefined
  if (mode !== "verify-full") return "must not weaken sslmode"
  return directory === null ? undefined : "must not have sslmode for a Unix socket, which has no TLS"
}

/** Returns whether the escapes of an address are those of a text without NUL, which would end a field early. */
const isDecodable = (text: string): boolean => {
  const decoded = Result.try(() => decodeURIComponent(text))
  return Result.isSuccess(decoded) && !decoded.success.includes("\0")
}

/** Returns whether the server is on this machine: on the loopback interface or a Unix socket. */
export const isLocalDatabase = (url: URL): boolean => {
  const directory = url.searchParams.get("host")
  return directory === null ? passwordlessHosts.has(url.hostname) : directory.startsWith("/")
}

/** Returns whether the connection has TLS: always, unless the server is on this machine. */
export const hasTls = (url: URL): boolean => !isLocalDatabase(url) || url.searchParams.has("sslmode")

export const teamSection = section({
  name: machineName.annotate({ description: "the name of this machine; required" }),
  url: text(/^postgres(ql)?:\/\/./u, "a URL like postgres://role@host/database?sslmode=verify-full").check(
    Schema.makeFilter((given) => databaseProblem(given) ?? true, {
      expected: "the URL of a database",
      description: "the database, with the role of this machine; required"
    })
  ),
  ca: optionalSetting(filePath, "the certificates that the server's must descend from, in PEM"),
  cert: optionalSetting(filePath, "the client certificate of this machine, in PEM"),
  key: optionalSetting(filePath, "the key of that certificate, in PEM"),
  password_file: optionalSetting(filePath, "a file of mode 0600 with the password of the role, as PGPASSFILE has it"),
  timeout: setting(
    duration({ minimum: millisecond, maximum: hour }),
    "how long the database may take to answer",
    2n * second
  ),
  beat: setting(
    duration({ minimum: millisecond, maximum: hour }),
    "the interval at which an idle daemon asks the database",
    5n * second
  ),
  prepare: setting(flag, "whether statements are prepared; false for a pooler that does not support it", true),
  accept_loss: setting(flag, "whether secrets team check accepts that a failover may lose commits", false),
  offline: setting(oneOf(["refuse"], "refuse"), "what the daemon does while the database is away", "refuse")
})

/** Settings of a later version. Without them a daemon would promise less than its configuration says. */
export const laterSettings = ["cutoff", "offline_grace", "listen"] as const

/** Names a setting of the team that this version does not have, or two that need each other. */
export const teamProblem = (team: typeof teamSection.Type | undefined, given: unknown): string | undefined => {
  if (team === undefined) return undefined
  const section: unknown = typeof given === "object" && given !== null ? Reflect.get(given, "team") : undefined
  const keys = typeof section === "object" && section !== null ? Object.keys(section) : []
  const later = laterSettings.find((key) => keys.includes(key))
  if (later !== undefined) return `team.${later} is not supported by this version`
  if (keys.includes("machines")) return "team.machines is no setting: machines are added with secrets team add"
  if ((team.cert === undefined) !== (team.key === undefined)) return "team.cert and team.key are required together"
  const url = new URL(team.url)
  const unused = (["ca", "cert"] as const).find((key) => team[key] !== undefined && !hasTls(url))
  if (unused !== undefined) return `team.${unused} has no effect without sslmode=verify-full in team.url`
  return isLocalDatabase(url) || team.cert !== undefined || team.password_file !== undefined
    ? undefined
    : "team.password_file, or team.cert and team.key, are required, because the server is not on this machine"
}

export type TeamSettings = typeof teamSection.Type
