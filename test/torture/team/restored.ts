/** A dump is restored after more work and a killswitch, under running or stopped daemons: no lease of it lives again. */
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { ask, database, startWork, type Team, withTeam } from "./Machine.ts"

const restoreOnce = async (team: Team, { log, random }: ScenarioOptions) => {
  const { cluster, machines } = team
  const work = async (millis: number) => {
    const stopWork = startWork(machines, random)
    await pause(millis)
    await stopWork()
  }
  await work(300 + random.below(300))
  const dump = path.join(cluster.directory, "dump")
  cluster.run("pg_dump", ["-h", cluster.directory, "-U", "postgres", "-f", dump, database])
  const dumped = new Set(ask(team, "select id from team.leases"))
  await work(300 + random.below(300))
  if ((await machines[1]?.ask("revokeAll"))?.result === undefined) throw new Error("the killswitch does not work")
  const isStopped = random.below(2) === 0
  if (isStopped) for (const machine of machines) await machine.stop(random.pick(["SIGTERM", "SIGKILL"]))
  cluster.sql("drop database if exists restored")
  cluster.sql("create database restored")
  cluster.run("psql", ["-h", cluster.directory, "-U", "postgres", "-d", "restored", "-X", "-q", "-f", dump])
  cluster.sql(`alter database ${database} allow_connections false`)
  cluster.sql(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`)
  cluster.sql("drop database if exists old")
  cluster.sql(`alter database ${database} rename to old`)
  cluster.sql(`alter database restored rename to ${database}`)
  if (isStopped) for (const machine of machines) await machine.serve()
  for (const machine of machines) await machine.untilServed("after")
  const alive = ask(team, "select id from team.leases").filter((id) => dumped.has(id))
  for (const id of alive) log(`lives again: ${id}`)
  return { dumped: dumped.size, alive: alive.length }
}

export const restored = (options: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({}, async (team) => {
    const found = []
    for (let round = 0; round < Math.ceil(options.rounds / 10); round += 1) found.push(await restoreOnce(team, options))
    return [
      {
        what: "leases of a dump that live again after it was restored",
        tried: found.reduce((sum, { dumped }) => sum + dumped, 0),
        failed: found.reduce((sum, { alive }) => sum + alive, 0)
      },
      ...(await judge(team, options.log))
    ]
  })
