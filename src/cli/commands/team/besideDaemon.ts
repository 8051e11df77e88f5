/** The database as a command uses it beside the daemon: with the role of this machine, and the list of machines verified. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { connectionOptions } from "../../../daemon/team/connect.ts"
import {
  extendMembers,
  noMembers,
  recipientsOf,
  roleOf,
  type Said,
  SignedStatement,
  viewOf
} from "../../../daemon/team/members.ts"
import { recipientsHash } from "../../../daemon/team/sealedSecret.ts"
import { readSigner, signStatement } from "../../../daemon/team/signer.ts"
import { openTeamMemory, teamMemoryName } from "../../../daemon/team/teamMemory.ts"
import { makeTeamWire, type TeamCall } from "../../../daemon/team/TeamWire.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { toMillis } from "../../../domain/GoDuration.ts"
import type { TeamSettings } from "../../../domain/TeamConfig.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { databaseFailed, loadTeam, storeFailed, teamError } from "./teamProblems.ts"

const failed = databaseFailed("the team's database does not answer")

/** Opens the connection of a machine; `ask` decodes the answer of a call. */
export const openTeamWire = Effect.fnUntraced(function* (team: TeamSettings) {
  const options = yield* Effect.mapError(connectionOptions(team), failed)
  const wire = yield* makeTeamWire(options, Duration.millis(toMillis(team.timeout)))
  return <A>(call: TeamCall, input: object, schema: Schema.Codec<A, unknown>) =>
    wire.call(call, { machine: team.name, ...input }).pipe(
      Effect.flatMap((answer) => Schema.decodeUnknownEffect(schema)(answer)),
      Effect.mapError(failed)
    )
})
export type AskTeam = Effect.Success<ReturnType<typeof openTeamWire>>

const Secrets = Schema.Array(
  Schema.Struct({ name: Schema.String, for: Schema.String, changed: Schema.NullOr(Schema.Number) })
)

export const readStatements = (ask: AskTeam, after: number) =>
  ask("read_1", { what: "members", after }, Schema.Array(SignedStatement))
export const readSecretRows = (ask: AskTeam) => ask("read_1", { what: "secrets" }, Secrets)

export const invalidList = (why: string) =>
  teamError(
    "the list of machines in the database is not valid",
    why,
    "Find out who changed the database. Nothing was changed",
    exitStatus.unfit
  )

export const openBesideDaemon = Effect.fnUntraced(function* (args: GlobalArgs) {
  const { config, team } = yield* loadTeam(args)
  const ask = yield* openTeamWire(team)
  const memory = yield* Effect.mapError(openTeamMemory(path.join(config.directory, teamMemoryName)), storeFailed)
  const pinned = memory.read().members ?? []
  const later = yield* readStatements(ask, pinned.length)
  const list = yield* Effect.mapError(Effect.fromResult(extendMembers(noMembers, [...pinned, ...later])), invalidList)
  const signer = yield* Effect.mapError(readSigner(config, team.name), storeFailed)

  /** Signs a statement, and adds it to the list; returns the longer list. */
  const declare = Effect.fnUntraced(function* (from: typeof list, said: Said) {
    if (viewOf(from).members.get(team.name)?.isAdmin !== true) {
      return yield* teamError(
        "this machine may not change the list of machines",
        `${team.name} is not an admin machine`,
        "Run this on one that is: secrets team status shows which"
      )
    }
    const signed = signStatement(from, signer, said)
    const next = extendMembers(from, [signed])
    if (Result.isFailure(next)) {
      return yield* teamError(
        "the list of machines cannot be changed like that",
        next.failure,
        "See: secrets team status"
      )
    }
    const role = said.do === "add" ? { role: roleOf(said.machine) } : {}
    yield* ask("member_1", { ...signed, ...role }, Schema.Unknown)
    return next.success
  })

  /** Returns how many secrets are sealed for the machines of a list, and how many there are. */
  const sealedFor = Effect.fnUntraced(function* (wanted: typeof list) {
    const rows = yield* readSecretRows(ask)
    const isDone = (row: (typeof rows)[number]) => row.for === recipientsHash(recipientsOf(wanted, row.name))
    return { done: rows.filter(isDone).length, all: rows.length }
  })

  /** Waits some seconds until the daemons have sealed every secret for a list; returns lines about that. */
  const waitForSealing = Effect.fnUntraced(function* (wanted: typeof list) {
    return yield* Effect.repeat(sealedFor(wanted), {
      until: ({ all, done }) => done === all,
      schedule: Schedule.spaced("200 millis"),
      times: 100
    })
  })
  return { config, team, ask, list, signer, declare, sealedFor, waitForSealing }
})
export type BesideDaemon = Effect.Success<ReturnType<typeof openBesideDaemon>>

export const sealedLine = ({ all, done }: { readonly all: number; readonly done: number }): string =>
  `values: ${done}/${all} sealed for the machines of the list${done === all ? "" : "; the daemons go on"}`

/** Returns the name of a machine that a subcommand needs. */
export const positional = (args: TeamArgs, at: number, what: string) => {
  const found = args.positionals[at]
  return found === undefined
    ? Effect.fail(failUsage(`${what} is missing`, "See: secrets team --help"))
    : Effect.succeed(found)
}
