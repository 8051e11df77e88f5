/** secrets team status: asks the database, with the role of this machine and beside its daemon. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { viewOf } from "../../../daemon/team/members.ts"
import { table } from "../../terminal/table.ts"
import { openBesideDaemon, sealedLine } from "./besideDaemon.ts"
import type { TeamArgs } from "./teamFlags.ts"

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
  const { ask, list, sealedFor, team } = yield* openBesideDaemon(args)
  const machines = yield* ask("read_1", { what: "machines" }, Machines)
  const sealed = yield* sealedFor(list)
  const { members } = viewOf(list)
  const rows = machines.map((one) => {
    const member = members.get(one.name)
    return { ...one, listed: member !== undefined, admin: member?.isAdmin ?? false, groups: member?.groups ?? [] }
  })
  const cells = rows.map((one) => [
    one.name === team.name ? `${one.name} (this machine)` : one.name,
    one.status,
    one.silent === null ? "never" : `${one.silent} s ago`,
    one.program,
    String(one.entries),
    one.listed ? ["yes", ...(one.admin ? ["admin"] : []), ...one.groups].join(", ") : "no"
  ])
  return {
    lines: [
      ...table(["MACHINE", "STATUS", "LAST COMMIT", "VERSION", "ENTRIES", "MAY READ"], cells),
      sealedLine(sealed)
    ],
    result: { machine: team.name, machines: rows, sealed: sealed.done, secrets: sealed.all }
  }
}, Effect.scoped)
