/** secrets team check: the settings of the server that decide whether a commit survives, and the rights of the role. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connectionOptions } from "../../../daemon/team/connect.ts"
import { wireError } from "../../../daemon/team/TeamWire.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { databaseFailed, loadTeam } from "./teamProblems.ts"

/** Settings without which a crash loses commits, or hides it. */
const wanted = { fsync: "on", full_page_writes: "on", synchronous_commit: "on", data_checksums: "on" }

const question = `select
  (select json_object_agg(name, setting) from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums'))::text as settings,
  pg_is_in_recovery() as standby,
  (select rolsuper or rolcreaterole or rolbypassrls from pg_roles where rolname = current_user) as powerful,
  has_table_privilege('team.audit', 'insert, update, delete, truncate') or has_table_privilege('team.leases', 'insert, update, delete') as writes,
  exists (select from pg_stat_replication) and current_setting('synchronous_standby_names') = '' as asynchronous,
  version() as version`

export const checkTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const { team } = yield* loadTeam(args)
  const failed = databaseFailed("the team's database cannot be checked")
  const options = yield* Effect.mapError(connectionOptions(team), failed)
  const connection = yield* Effect.mapError(Effect.mapError(PgConnection.make(options), wireError), failed)
  const ask = (sql: string) => Effect.mapError(Effect.mapError(connection.query(sql), wireError), failed)
  const { rows } = yield* ask(question)
  const found = rows[0] ?? {}
  const settings: Readonly<Record<string, string>> = JSON.parse(String(found["settings"] ?? "{}"))
  const before = yield* Clock.currentTimeMillis
  for (let n = 0; n < 10; n += 1) yield* ask("select 1")
  const roundTrip = ((yield* Clock.currentTimeMillis) - before) / 10
  const problems = [
    ...Object.entries(wanted).flatMap(([name, value]) =>
      settings[name] === value ? [] : [`${name} is ${settings[name] ?? "unknown"}, and should be ${value}`]
    ),
    ...(found["standby"] === true ? ["the server is a standby: name the primary in team.url"] : []),
    ...(found["asynchronous"] === true && !team.accept_loss
      ? [
          "no standby is synchronous, so a failover can lose commits: set synchronous_standby_names, or team.accept_loss"
        ]
      : []),
    ...(found["powerful"] === true ? ["the role may do more than a machine needs"] : []),
    ...(found["writes"] === true ? ["the role may change tables without the functions"] : [])
  ]
  const result = { problems, round_trip_ms: roundTrip, version: String(found["version"] ?? "") }
  if (problems.length > 0) {
    return yield* new CommandError({
      message: "the team's database needs attention",
      why: problems,
      fix: "Ask its administrator to change that",
      code: "team_error",
      exitStatus: exitStatus.failed
    })
  }
  return { lines: [`nothing is wrong; a round trip takes ${roundTrip} ms`], result }
}, Effect.scoped)
