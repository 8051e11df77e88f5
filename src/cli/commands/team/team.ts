/**
 * secrets team: makes this machine a member of a team, shows the team, and leaves it.
 */
import * as Effect from "effect/Effect"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { checkTeam } from "./checkTeam.ts"
import { initTeam, migrateTeam, showIdentity } from "./initTeam.ts"
import { leaveTeam } from "./leaveTeam.ts"
import { teamStatus } from "./teamStatus.ts"

const flags = {
  "admin-url": {
    type: "string",
    value: "URL",
    summary: "init, migrate: the database, with a role that may create roles; its password is PGPASSWORD"
  },
  ca: {
    type: "string",
    value: "FILE",
    summary: "init, migrate: the certificates that the server's must descend from, in PEM"
  },
  name: {
    type: "string",
    value: "NAME",
    summary: "init, identity: the name of this machine in the team (the host name)"
  },
  "keep-secrets": { type: "boolean", summary: "leave: keep the secrets of the team in the store of this machine" }
} as const

export type TeamArgs = ArgsOf<typeof flags>

const subcommands = {
  init: initTeam,
  identity: showIdentity,
  status: teamStatus,
  check: checkTeam,
  migrate: migrateTeam,
  leave: leaveTeam
}

export const teamCommand = defineCommand({
  name: "team",
  summary: "Share secrets and leases with other machines through PostgreSQL",
  positionals: "init | identity | status | check | migrate | leave",
  arity: [1, 1],
  completes: Object.keys(subcommands),
  flags,
  examples: [
    "secrets team init --admin-url postgres://postgres@localhost/secrets --name m1",
    "secrets team status",
    "secrets team leave --keep-secrets"
  ],
  about: [
    "init, identity and leave need the daemon stopped. init creates what the database lacks, adds this machine,",
    "puts its secrets in, encrypted, and prints the section `team` for config.json.",
    "Every machine lists the same machines in team.machines: only they can read the secrets. See docs/teams.md."
  ].join("\n"),
  run: (args): Effect.Effect<Output, Effect.Error<ReturnType<(typeof subcommands)[keyof typeof subcommands]>>> => {
    const [name = ""] = args.positionals
    return isSubcommand(name)
      ? subcommands[name](args)
      : Effect.fail(failUsage(`unknown subcommand ${JSON.stringify(name)}`, "See: secrets team --help"))
  }
})

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name)
