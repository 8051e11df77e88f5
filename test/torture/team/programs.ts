/**
 * A program runs with a value on one machine, and another machine ends its lease, while the daemon
 * of the program is killed, its sessions are ended, or the server crashes: the program ends, and
 * one of another client goes on.
 */
import { quantile } from "../../harness/quantile.ts"
import { pause, start } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { type Machine, type Team, withTeam } from "./Machine.ts"

/** What may take longest: a start of the daemon, and its program that comes back to it. */
const endsWithin = 15_000

const run = (machine: Machine, client: string) => {
  const args = ["exec", "--secret", "db=DB", "--client-id", client, "--", "sleep", "600"]
  const { child, ended } = start(args, { home: machine.home })
  let at: number | undefined
  const over = ended.then(() => (at = performance.now()))
  return { over, at: () => at, end: () => child.kill("SIGTERM") }
}

/** Waits until a program is registered. */
const untilRunning = async (machine: Machine, client: string): Promise<void> => {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const runs = (await machine.ask("runs.list"))?.result?.runs ?? []
    if (runs.some(({ client_id }: { readonly client_id: string }) => client_id === client)) return
    await pause(20)
  }
  throw new Error(`${client} does not run on ${machine.name}`)
}

const faults = ["none", "kill before", "kill after", "terminate", "crash"] as const
const ends = ["client", "client", "killswitch", "delete"] as const

/** Ends the lease until that is acknowledged: the server may be away. */
const endLease = async (machine: Machine, how: (typeof ends)[number], client: string): Promise<void> => {
  const [method, params] =
    how === "killswitch"
      ? (["killswitch", {}] as const)
      : how === "delete"
        ? (["delete", { name: "db" }] as const)
        : (["revokeMatching", { client_id: client }] as const)
  for (;;) {
    if ((await machine.ask(method, params))?.result?.success === true) return
    await pause(50)
  }
}

const endOnce = async ({ cluster, machines }: Team, { log, random }: ScenarioOptions, round: number) => {
  const here = random.pick(machines)
  const there = random.pick(machines.filter((machine) => machine !== here))
  const [fault, how] = [random.pick(faults), random.pick(ends)]
  const [client, other] = [`c${round}`, `other${round}`]
  const [meant, left] = [run(here, client), run(here, other)]
  await Promise.all([untilRunning(here, client), untilRunning(here, other)])
  if (fault === "kill before") await here.stop("SIGKILL")
  if (fault === "terminate") {
    cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'as_%'")
  }
  if (fault === "crash") {
    cluster.stop("immediate")
    cluster.start()
  }
  await endLease(there, how, client)
  const acknowledged = performance.now()
  if (fault === "kill after") await here.stop("SIGKILL")
  if (here.daemon === undefined) await here.serve()
  await Promise.race([meant.over, pause(endsWithin)])
  const endedAt = meant.at()
  // Time in which a notice that is not meant for it would reach it.
  await pause(1500)
  const isLeft = left.at() === undefined
  const isReached = endedAt !== undefined
  if (!isReached) log(`${client} goes on after ${how} on ${there.name}, fault: ${fault}`)
  if (isLeft !== (how === "client")) log(`${other} ${isLeft ? "goes on" : "ended"} after ${how}, fault: ${fault}`)
  meant.end()
  left.end()
  await Promise.all([meant.over, left.over])
  if (how === "delete") await there.run(["add", "db"], "made-up-value")
  for (const machine of machines) await machine.untilServed()
  return { isReached, isLeft: isLeft === (how === "client"), took: (endedAt ?? Number.NaN) - acknowledged }
}

export const programs = (options: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({ section: () => ({ beat: "500ms" }) }, async (team) => {
    const all = []
    for (let round = 0; round < Math.ceil(options.rounds / 3); round += 1) all.push(await endOnce(team, options, round))
    const times = all.filter(({ isReached }) => isReached).map(({ took }) => took)
    return [
      {
        what: "programs that went on after another machine had ended their lease",
        tried: all.length,
        failed: all.filter(({ isReached }) => !isReached).length,
        stats: `ended after ${Math.round(quantile(times, 0.5))} ms, at most ${Math.round(Math.max(...times))} ms`
      },
      {
        what: "programs of other clients that were treated as if they were meant",
        tried: all.length,
        failed: all.filter(({ isLeft }) => !isLeft).length
      },
      ...(await judge(team, options.log))
    ]
  })
