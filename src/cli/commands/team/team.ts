/**
 * secrets team: makes this machine a member of a team, changes the team, and leaves it.
 */
import * as Effect from "effect/Effect"
import { defineCommand, unlimited } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { addMachine } from "./addMachine.ts"
import { checkTeam } from "./checkTeam.ts"
import { initTeam, migrateTeam } from "./initTeam.ts"
import { joinTeam } from "./joinTeam.ts"
import { leaveTeam } from "./leaveTeam.ts"
import { removeMachine, teamExposure } from "./removeMachine.ts"
import { requestTeam } from "./requestTeam.ts"
import { teamGroup } from "./teamGroup.ts"
import { teamStatus } from "./teamStatus.ts"
import { teamFlags } from "./teamFlags.ts"

const subcommands = {
  init: initTeam,
  request: requestTeam,
  add: addMachine,
  join: joinTeam,
  status: teamStatus,
  check: checkTeam,
  group: teamGroup,
  remove: removeMachine,
  exposure: teamExposure,
  migrate: migrateTeam,
  leave: leaveTeam
}

/** Those that take more than their own name. */
const withMore: ReadonlySet<string> = new Set(["add", "join", "group", "remove", "exposure"])

export const teamCommand = defineCommand({
  name: "team",
  summary: "Share secrets and leases with other machines through PostgreSQL",
  positionals:
    "init | request | add FILE | join FILE | status | check | group | remove MACHINE | exposure MACHINE | migrate | leave",
  arity: [1, unlimited],
  completes: Object.keys(subcommands),
  flags: teamFlags,
  examples: [
    "secrets team init --admin-url postgres://postgres@localhost/secrets --name m1",
    "secrets team request --name m7 > m7.request",
    "secrets team add m7.request --admin-url postgres://postgres@localhost/secrets",
    "secrets team join m7.invitation",
    "secrets team status",
    "secrets team group add prod m7",
    "secrets team group assign prod db",
    "secrets team remove m7 --rotate",
    "secrets team leave --keep-secrets"
  ],
  about: [
    "init, join and leave need the daemon stopped. init founds a team in a database, puts the secrets of this machine in, encrypted,",
    "and prints the section `team` for config.json. request, add and join are for each other machine, with nothing secret between them.",
    "remove and exposure end with 1 as long as a value that the machine could read is not changed. See docs/teams.md."
  ].join("\n"),
  run: (args): Effect.Effect<Output, Effect.Error<ReturnType<(typeof subcommands)[keyof typeof subcommands]>>> => {
    const [name = "", ...more] = args.positionals
    if (isSubcommand(name) && (more.length === 0 || withMore.has(name))) return subcommands[name](args)
    const what = isSubcommand(name) ? `team ${name} takes no argument` : `unknown subcommand ${JSON.stringify(name)}`
    return Effect.fail(failUsage(what, "See: secrets team --help"))
  }
})

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name)
