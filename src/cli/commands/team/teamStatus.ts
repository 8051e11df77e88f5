/** secrets team status: asks the database, with the role of this machine and beside its daemon. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { connectionOptions } from "../../../daemon/team/connect.ts"
import { makeTeamWire } from "../../../daemon/team/TeamWire.ts"
import { toMillis } from "../../../domain/GoDuration.ts"
import { table } from "../../terminal/table.ts"
import type { TeamArgs } from "./team.ts"
import { databaseFailed, loadTeam } from "./teamProblems.ts"

const Machines = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    status: Schema.String,
    program: Schema.String,
    epoch: Schema.Int,
    entries: Schema.Number,
    silent: Schema.NullOr(Schema.Number)
  })
)

export const teamStatus = Effect.fnUntraced(function* (args: TeamArgs) {
  const { team } = yield* loadTeam(args)
  const failed = databaseFailed("the team's database does not answer")
  const options = yield* Effect.mapError(connectionOptions(team), failed)
  const wire = yield* makeTeamWire(options, Duration.millis(toMillis(team.timeout)))
  const answer = yield* Effect.mapError(wire.call("read_1", { machine: team.name, what: "machines" }), failed)
  const machines = yield* Effect.mapError(Schema.decodeUnknownEffect(Machines)(answer), failed)
  const listed = new Set(team.machines.map(({ name }) => name))
  const rows = machines.map((one) => ({ ...one, listed: listed.has(one.name) }))
  const cells = rows.map((one) => [
    one.name === team.name ? `${one.name} (this machine)` : one.name,
    one.status,
    one.silent === null ? "never" : `${one.silent} s ago`,
    one.program,
    String(one.entries),
    one.listed ? "yes" : "no"
  ])
  return {
    lines: table(["MACHINE", "STATUS", "LAST COMMIT", "VERSION", "ENTRIES", "MAY READ"], cells),
    result: { machine: team.name, machines: rows }
  }
}, Effect.scoped)
