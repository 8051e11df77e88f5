/** The problems of `secrets team`. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { AdminAddress } from "../../../daemon/team/administer.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Config } from "../../../domain/Config.ts"
import { databaseProblem, type TeamSettings } from "../../../domain/TeamConfig.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import type { GlobalArgs } from "../../command/daemonAddress.ts"
import { loadConfig } from "../../command/settings.ts"
import type { TeamArgs } from "./team.ts"

export const teamError = (message: string, why: string, fix: string, status: number = exitStatus.failed) =>
  new CommandError({ message, why, fix, code: "team_error", exitStatus: status })

/** Returns a function that turns a failure of the database into a problem of the command. */
export const databaseFailed = (what: string) => (error: { readonly message: string }) =>
  teamError(
    what,
    error.message,
    "Check the address, the role and the server: secrets team check",
    exitStatus.unavailable
  )

/** Returns the problem of a file of this machine. */
export const storeFailed = (error: { readonly message: string }) =>
  error instanceof CommandError
    ? error
    : teamError("cannot use the store of this machine", error.message, "See what it needs: secrets doctor")

/** Rejects a machine that is in a team. */
export const refuseMember = ({ team }: Config) =>
  team === undefined
    ? Effect.void
    : Effect.fail(
        teamError(
          "this machine is in a team",
          "config.json has a section team",
          "Leave it first: secrets team leave",
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
