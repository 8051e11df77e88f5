/**
 * Machines whose clocks are an hour off, and jump: leases end by the server's clock alone. Then
 * many leases are due at once on all machines: each end is recorded once.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { ask, type Machine, startWork, type Team, withTeam } from "./Machine.ts"

/** Gives the daemon of a machine a clock that is set by as many milliseconds as a file holds. */
const setClock = (machine: Machine, millis: number): void =>
  fs.writeFileSync(path.join(machine.home, "shift"), String(millis))

const shiftClock = (machine: Machine): void => {
  const loader = path.join(machine.home, "loader.mjs")
  setClock(machine, 0)
  const file = JSON.stringify(path.join(machine.home, "shift"))
  fs.writeFileSync(
    loader,
    `import fs from "node:fs"
const now = Date.now
Date.now = () => now() + Number(fs.readFileSync(${file}, "utf8"))
process.argv.splice(1, 1)
await import(process.argv[1])`
  )
  machine.through = `node=$1; shift; exec "$node" '${loader}' "$@"`
}

const hours = 3_600_000

const wrongClocks = async (team: Team, { random, rounds }: ScenarioOptions): Promise<Row> => {
  let failed = 0
  const stopWork = startWork(team.machines, random)
  for (let round = 0; round < rounds; round += 1) {
    const machine = random.pick(team.machines)
    setClock(machine, random.pick([-1, 1, 0, 24, -24]) * hours)
    const { id } = await machine.acquire(`clock-${round}`, "1h")
    const [left = ""] = ask(
      team,
      `select extract(epoch from expires_at - clock_timestamp()) from team.leases where id = '${id}'`
    )
    // A jump in the middle of a commit makes its answer too late; the next one counts.
    if (id !== undefined && !(Number(left) > 3598 && Number(left) <= 3600.5)) failed += 1
    await pause(random.below(50))
  }
  for (const machine of team.machines) setClock(machine, random.pick([-1, 1]) * hours)
  await stopWork()
  return { what: "leases of an hour that end at another time, with clocks an hour off", tried: rounds, failed }
}

const shortLeases = async (team: Team): Promise<Row> => {
  let failed = 0
  for (const [at, machine] of team.machines.entries()) {
    const { id } = await machine.acquire(`short-${at}`, "1s")
    await pause(1100)
    const active = (await team.machines[(at + 1) % team.machines.length]?.ask("leases"))?.result
    if (id === undefined || JSON.stringify(active).includes(id)) failed += 1
  }
  return { what: "leases of a second that live longer", tried: team.machines.length, failed }
}

const due = 20_000

/** Leases of all machines that were over long ago. */
const manyDue = async (team: Team): Promise<ReadonlyArray<Row>> => {
  const count = `select count(*) from team.audit where line like '%"lease_expire"%' and line like '%due-%'`
  ask(
    team,
    `insert into team.leases (id, pair, secret, client, machine, created_at, expires_at)
     select gen_random_uuid(), sha256(convert_to('due-' || n, 'UTF8')), 'db', 'due-' || n, 1 + n % ${team.machines.length},
       clock_timestamp() - interval '1 hour', clock_timestamp() - interval '10 minutes' from generate_series(1, ${due}) n`
  )
  const from = performance.now()
  while (ask(team, "select count(*) from team.leases where client like 'due-%'")[0] !== "0") {
    if (performance.now() > from + 180_000) break
    await pause(100)
  }
  const seconds = (performance.now() - from) / 1000
  const left = Number(ask(team, "select count(*) from team.leases where client like 'due-%'")[0])
  const entries = Number(ask(team, count)[0])
  ask(team, "delete from team.leases where client like 'due-%'")
  return [
    {
      what: "due leases whose end is not recorded once",
      tried: due,
      failed: left + Math.abs(entries - (due - left)),
      stats: `${seconds.toFixed(1)} s on ${team.machines.length} machines`
    }
  ]
}

export const clocks = (options: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({ onMachine: shiftClock }, async (team) => {
    const rows = [await wrongClocks(team, options), await shortLeases(team), ...(await manyDue(team))]
    return [...rows, ...(await judge(team, options.log)).slice(0, 2)]
  })
