/**
 * The primary stops and a standby takes over, behind an address that follows. With a synchronous
 * standby nothing acknowledged is lost. Otherwise the standby is deaf for the last second: what
 * is lost is found and put back, and no lease from before lives on.
 */
import { execFileSync } from "node:child_process"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import { type Cluster } from "../../support/postgres.ts"
import { Proxy } from "../../support/lineProxy.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { ask, database, type Machine, startWork, type Team, type TeamOptions, withTeam } from "./Machine.ts"

const socketOf = (directory: string) => path.join(directory, ".s.PGSQL.5432")

const proxyIn = async (directory: string, target: string): Promise<Proxy> => {
  execFileSync("mkdir", ["-p", directory])
  return await new Proxy(target).listen({ path: socketOf(directory), writableAll: true })
}

/** Which of these entries are in no chain of a database. */
const missingIn = (cluster: Cluster, machines: ReadonlyArray<Machine>): ReadonlyArray<string> => {
  const lines = cluster.sql("select line from team.audit", database)
  return machines.flatMap(({ acknowledged }) => acknowledged).filter((id) => !lines.includes(id))
}

const failOver = async (team: Team, address: Proxy, isSynchronous: boolean, options: ScenarioOptions) => {
  const { cluster, machines } = team
  const line = await proxyIn(path.join(cluster.directory, "line"), socketOf(cluster.directory))
  const standby = cluster.follow(path.join(cluster.directory, "line"))
  try {
    if (isSynchronous) {
      cluster.sql("alter system set synchronous_standby_names = 'standby'")
      cluster.sql("select pg_reload_conf()")
    }
    const state = isSynchronous ? "sync" : "async"
    while (cluster.sql("select sync_state from pg_stat_replication where state = 'streaming'") !== state)
      await pause(50)
    const stopWork = startWork(machines, options.random)
    await pause(1500)
    if (!isSynchronous) {
      line.cut("swallow")
      await pause(1000)
    }
    cluster.stop("immediate")
    const before = new Set(machines.flatMap(({ acknowledged }) => acknowledged))
    standby.run("pg_ctl", ["-D", path.join(standby.directory, "data"), "-w", "promote"])
    const lost = missingIn(standby, machines)
    address.target = socketOf(standby.directory)
    await pause(2500)
    await stopWork()
    for (const machine of machines) await machine.untilServed()
    const after: Team = { cluster: standby, machines }
    const alive = ask(after, "select id from team.leases").filter((id) => before.has(id))
    const unrepaired = missingIn(standby, machines)
    const kind = isSynchronous ? "a synchronous standby" : "a deaf standby"
    const rows: ReadonlyArray<Row> = [
      isSynchronous
        ? { what: `acknowledged acquires that ${kind} lost`, tried: before.size, failed: lost.length }
        : { what: `losses of ${kind} that were not put back`, tried: lost.length, failed: unrepaired.length },
      ...(isSynchronous
        ? []
        : [{ what: `leases that outlived the loss of ${kind}`, tried: before.size, failed: alive.length }])
    ]
    return [...rows, ...(await judge(after, options.log))]
  } finally {
    line.close()
    standby.remove()
  }
}

export const failover = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const isSynchronous of [true, false]) {
    const address = new Proxy("")
    const teamOptions: TeamOptions = {
      prepare: (data) => {
        execFileSync("mkdir", [path.join(data, "../address")])
        void address.listen({ path: socketOf(path.join(data, "../address")), writableAll: true })
      },
      section: (section, _, cluster) => {
        address.target = socketOf(cluster.directory)
        return { url: section["url"].replace(/host=.*/, `host=${path.join(cluster.directory, "address")}`) }
      }
    }
    try {
      rows.push(...(await withTeam(teamOptions, (team) => failOver(team, address, isSynchronous, options))))
    } finally {
      address.close()
    }
  }
  return rows
}
