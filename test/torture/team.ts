/**
 * A team over a real PostgreSQL cluster of its own, which flushes: one file of attacks for each
 * kind of fault. `ATTACK=cuts,frozen npm run torture -- team` runs some of them.
 */
import { postgresPrograms } from "../support/postgres.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"
import { access } from "./team/access.ts"
import { changes } from "./team/changes.ts"
import { clocks } from "./team/clocks.ts"
import { crashes } from "./team/crashes.ts"
import { cuts } from "./team/cuts.ts"
import { disks } from "./team/disks.ts"
import { failover } from "./team/failover.ts"
import { frozen } from "./team/frozen.ts"
import { pooler } from "./team/pooler.ts"
import { programs } from "./team/programs.ts"
import { restored } from "./team/restored.ts"
import { secrecy } from "./team/secrecy.ts"
import { values } from "./team/values.ts"
import { versions } from "./team/versions.ts"

const attacks: Readonly<Record<string, (options: ScenarioOptions) => Promise<ReadonlyArray<Row>>>> = {
  crashes,
  changes,
  cuts,
  frozen,
  failover,
  restored,
  clocks,
  disks,
  pooler,
  programs,
  versions,
  values,
  secrecy,
  access
}

const run = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  if (postgresPrograms === undefined) {
    options.log("left out: there is no PostgreSQL server (initdb) here")
    return []
  }
  const named = process.env["ATTACK"]?.split(",") ?? Object.keys(attacks)
  const rows: Array<Row> = []
  for (const name of named) {
    const attack = attacks[name]
    if (attack === undefined) throw new Error(`no such attack: ${name}`)
    options.log(`${name}:`)
    rows.push(...(await attack(options)).map((row) => ({ ...row, what: `${name}: ${row.what}` })))
  }
  return rows
}

export const scenario: Scenario = {
  promise: "a pair has one lease in a team, and no fault of a machine, a line or the server loses or reveals one",
  rounds: 30,
  run
}
