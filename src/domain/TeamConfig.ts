/**
 * The section `team` of config.json: the database that several machines share, and the machines
 * that may read its secrets. The list of machines is kept by hand on each machine, because the
 * database must not decide who reads a value.
 */
import * as Schema from "effect/Schema"
import { hour, millisecond, second } from "./GoDuration.ts"
import { duration, filePath, flag, oneOf, optionalSetting, section, setting, text } from "./Setting.ts"

const machineName = text(/^[a-z0-9][a-z0-9-]{0,39}$/u, "a name of a-z, 0-9 and -")

/** One element of `team.machines`, as `secrets team identity` prints it. */
const machineSection = section({
  name: text(/^[a-z0-9][a-z0-9-]{0,39}$/u, "a name of a-z, 0-9 and -", "the name of a machine; required"),
  recipient: text(/^age1[0-9a-z]{58}$/u, "an age recipient", "its age recipient; required"),
  key: text(/^[A-Za-z0-9+/]{43}=$/u, "a public key in base64", "its public key for signatures; required")
})

/** The most machines whose stanzas one age file has. */
const maxMachines = 64

const passwordlessHosts = new Set(["localhost", "127.0.0.1", "[::1]"])

/** Returns why a daemon must not connect to an address like that; undefined if it may. */
export const databaseProblem = (given: string): string | undefined => {
  if (!URL.canParse(given)) return "must be the URL of a database"
  const url = new URL(given)
  if (url.password !== "") return "must not hold a password: use team.password_file or a client certificate"
  if (url.username === "" || url.pathname.length < 2) return "must name the role and the database"
  const unknown = [...url.searchParams.keys()].find((key) => key !== "sslmode" && key !== "host")
  if (unknown !== undefined) return `must not have the parameter ${unknown}`
  const mode = url.searchParams.get("sslmode")
  if (isLocalDatabase(url)) return mode === null || mode === "verify-full" ? undefined : "must not weaken sslmode"
  return mode === "verify-full" ? undefined : "must have sslmode=verify-full, because the server is not on this machine"
}

/** Returns whether the server is on this machine: on the loopback interface or a Unix socket. */
export const isLocalDatabase = (url: URL): boolean => {
  const directory = url.searchParams.get("host")
  return directory === null ? passwordlessHosts.has(url.hostname) : directory.startsWith("/")
}

export const teamSection = section({
  name: machineName.annotate({ description: "the name of this machine; required" }),
  url: text(/^postgres(ql)?:\/\/./u, "a URL like postgres://role@host/database?sslmode=verify-full").check(
    Schema.makeFilter((given) => databaseProblem(given) ?? true, {
      expected: "the URL of a database",
      description: "the database, with the role of this machine; required"
    })
  ),
  machines: setting(
    Schema.Array(machineSection)
      .check(Schema.isMaxLength(maxMachines))
      .annotate({
        expected: `a list of at most ${maxMachines} machines, each a JSON object`
      }),
    "the machines that may read the secrets, the same list on each of them",
    []
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
  offline: setting(oneOf(["refuse"], "refuse"), "what the daemon does while the database is away", "refuse")
})

/** Settings of a later version. Without them a daemon would promise less than its configuration says. */
export const laterSettings = ["cutoff", "offline_grace", "listen", "accept_loss"] as const

/** Names a setting of the team that this version does not have, or what is wrong with its machines. */
export const teamProblem = (team: typeof teamSection.Type | undefined, given: unknown): string | undefined => {
  if (team === undefined) return undefined
  const section: unknown = typeof given === "object" && given !== null ? Reflect.get(given, "team") : undefined
  const keys = typeof section === "object" && section !== null ? Object.keys(section) : []
  const later = laterSettings.find((key) => keys.includes(key))
  if (later !== undefined) return `team.${later} is not supported by this version`
  const names = team.machines.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) return `team.machines must not name ${twice} twice`
  if ((team.cert === undefined) !== (team.key === undefined)) return "team.cert and team.key are required together"
  return undefined
}

export type TeamSettings = typeof teamSection.Type
