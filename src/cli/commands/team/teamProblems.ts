/** The problems of `secrets team`. */
import * as Effect from "effect/Effect"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { TeamSettings } from "../../../domain/TeamConfig.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
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

/** Returns the configuration of a machine that is in a team. */
export const loadTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  if (config.team === undefined) {
    return yield* teamError(
      "this machine is in no team",
      "config.json has no section team",
      "Make it a member: secrets team init",
      exitStatus.badConfig
    )
  }
  const team: TeamSettings = config.team
  return { config, team }
})

/** Returns a flag that the subcommand needs. */
export const requiredOption = (args: TeamArgs, name: "admin-url") => {
  const found = args.option(name)
  return found === undefined
    ? Effect.fail(failUsage(`--${name} is missing`, "For example: --admin-url postgres://postgres@localhost/secrets"))
    : Effect.succeed(found)
}
