/**
 * Clients of several machines acquire the same pairs, while daemons are killed, sessions are
 * ended, statements are held up for longer than the daemon waits, and the server crashes.
 */
import { spawn } from "node:child_process"
import type { Random } from "../../support/random.ts"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { database, startWork, type Team, withTeam } from "./Machine.ts"

/** Holds the lock that an acquire needs for longer than the timeout. */
const holdUp = ({ cluster }: Team): void => {
  const text = "begin; lock table team.leases in exclusive mode; select pg_sleep(1.5); commit"
  const args = ["-h", cluster.directory, "-U", "postgres", "-d", database, "-X", "-q", "-c", text]
  spawn("psql", args, { stdio: "ignore" }).on("error", () => undefined)
}

/** Does something that a machine or a server may meet. */
const attack = async (team: Team, random: Random): Promise<string> => {
  const { cluster, machines } = team
  const kind = random.pick(["kill", "kill", "terminate", "crash", "hold up", "hold up"])
  if (kind === "kill") {
    const machine = random.pick(machines)
    await machine.stop("SIGKILL")
    await machine.serve()
  } else if (kind === "terminate") {
    cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'as_%'")
  } else if (kind === "hold up") {
    holdUp(team)
  } else {
    cluster.stop("immediate")
    cluster.start()
  }
  return kind
}

export const crashes = ({ log, random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({}, async (team) => {
    const counts = new Map<string, number>()
    const stopWork = startWork(team.machines, random)
    for (let round = 0; round < rounds; round += 1) {
      await pause(100 + random.below(400))
      const kind = await attack(team, random)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    await pause(2000)
    await stopWork()
    for (const machine of team.machines) await machine.untilServed()
    const done = team.machines.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
    log(`${done} acquired, ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}`)
    return await judge(team, log)
  })
