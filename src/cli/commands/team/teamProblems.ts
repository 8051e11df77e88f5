/** The problems of `secrets team`. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { StartError } from "../../../daemon/files/fileLock.ts"
import type { AdminAddress } from "../../../daemon/team/administer.ts"
import { sqlState } from "../../../daemon/team/schema.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Config } from "../../../domain/Config.ts"
import { databaseProblem, type TeamSettings } from "../../../domain/TeamConfig.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { loadConfig } from "../../command/settings.ts"
import type { TeamArgs } from "./teamFlags.ts"

export const teamError = (message: string, why: string, fix: string, status: number = exitStatus.failed) =>
  new CommandError({ message, why, fix, code: "team_error", exitStatus: status })

/** What a person can do about a failure of the database: with the address of a machine, and with that of an administrator. */
const fixes = {
  connect: [
    "Start the server, or correct team.url in config.json",
    "Start the server, or correct the address: --admin-url"
  ],
  login: [
    "Correct team.password_file, or have the machine added again: secrets team add",
    "Name a role of the server in --admin-url, and set PGPASSWORD to its password"
  ],
  database: ["Correct the name of the database in team.url", "Create the database, or correct its name in --admin-url"],
  team: ["Correct the name of the database in team.url", "Found a team there: secrets team init"],
  rights: [
    "Have the machine added again: secrets team add",
    "Name a role that may create roles and a schema in --admin-url, such as postgres"
  ],
  machine: ["See which machines the team has, on one of them: secrets team status"],
  changed: ["Run the command again"],
  server: ["Have the administrator of the database look at it"]
} as const

/** The kinds of failures, by the SQLSTATE of the server. */
const kinds: Readonly<Record<string, keyof typeof fixes>> = {
  "28P01": "login",
  "28000": "login",
  "3D000": "database",
  "3F000": "team",
  "42501": "rights",
  [sqlState.fenced]: "machine",
  [sqlState.denied]: "machine",
  [sqlState.stale]: "changed"
}

const kindOf = ({ code, message }: { readonly message: string; readonly code?: string | undefined }) => {
  if (code !== undefined) return kinds[code] ?? "server"
  // The driver finds out by itself that there is no password to send.
  return /password authentication/.test(message) ? "login" : "connect"
}

/** Returns a function that turns a failure of the database into a problem of the command. */
export const databaseFailed =
  (what: string, isAdmin = false) =>
  (error: { readonly message: string; readonly code?: string | undefined }) => {
    if (error instanceof StartError) return teamError(what, error.message, error.fix, error.exitStatus)
    const [forMachine, forAdmin = forMachine] = fixes[kindOf(error)]
    return teamError(what, error.message, isAdmin ? forAdmin : forMachine, exitStatus.unavailable)
  }

/** Returns the problem of a file of this machine. */
export const storeFailed = (error: { readonly message: string }) =>
  error instanceof CommandError
    ? error
    : teamError("cannot use the store of this machine", error.message, "See what it needs: secrets doctor")

export const unknownMachine = (machine: string) =>
  teamError("there is no such machine", `the list has no ${machine}`, "See: secrets team status", exitStatus.notFound)

/** Rejects a machine that is in a team. */
export const refuseMember = ({ team }: Config) =>
  team === undefined
    ? Effect.void
    : Effect.fail(
        teamError(
          "this machine is in a team",
          "config.json has a section team",
          "To join it again, with its invitation: remove team from config.json. To leave it: secrets team leave",
          exitStatus.cannotCreate
        )
      )

/** Returns the configuration of a machine that is in a team. */
export const loadTeam = Effect.fnUntraced(function* (args: GlobalArgs) {
  const config = yield* loadConfig(args)
  if (config.team === undefined) {
    return yield* teamError(
      "this machine is in no team",
      "config.json has no section team",
      "Found a team: secrets team init. Or join one: secrets team request",
      exitStatus.badConfig
    )
  }
  const team: TeamSettings = config.team
  return { config, team }
})

/** Returns the address of the database for its administrator, which is as safe as that of a machine. */
export const adminAddress = Effect.fnUntraced(function* (args: TeamArgs) {
  const given = args.option("admin-url")
  if (given === undefined) {
    return yield* failUsage("--admin-url is missing", "For example: --admin-url postgres://postgres@localhost/secrets")
  }
  const problem = databaseProblem(given, "use PGPASSWORD")
  if (problem !== undefined) {
    const fix = "Correct the address, for example: postgres://postgres@db.example.org/secrets?sslmode=verify-full"
    return yield* teamError("the database cannot be used", `--admin-url ${problem}`, fix, exitStatus.badConfig)
  }
  const ca = args.option("ca")
  const address: AdminAddress = {
    url: new URL(given),
    ca: ca === undefined ? undefined : path.resolve(ca),
    password: process.env["PGPASSWORD"]
  }
  return address
})
