/**
 * One machine is cut off from the server while its clients acquire: by a proxy that takes
 * everything and passes on nothing, by one that resets, and by taking down the link of a network
 * namespace. Meanwhile another machine revokes all leases. No value may leave, refusals come
 * within the timeout, and service comes back with the server.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { pause } from "../../harness/program.ts"
import { quantile } from "../../harness/quantile.ts"
import { Proxy } from "../../support/lineProxy.ts"
import type { Random } from "../../support/random.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { type Machine, startWork, type Team, type TeamOptions, withTeam } from "./Machine.ts"

/** How the line of the first machine is cut, and healed. */
interface Line {
  readonly cut: (random: Random) => string
  readonly heal: () => void
}

/** The timeout of the machines. */
const timeout = 1000
/** What a busy test machine may add to a time. */
const tolerance = 500
/** An answer of the server that was read before the cut may still be passed on. */
const underWay = 100

interface Found {
  readonly values: Array<string>
  readonly refusals: Array<number>
  readonly returns: Array<number>
}

const cutOnce = async (team: Team, line: Line, random: Random, found: Found): Promise<void> => {
  const [first, second] = team.machines as [Machine, Machine]
  const stopWork = startWork([first, second], random)
  await pause(200 + random.below(300))
  const how = line.cut(random)
  const from = performance.now()
  await pause(random.below(500))
  // The answer says that nothing revoked leaves any more.
  if ((await second.ask("revokeAll"))?.result === undefined) throw new Error("the other machine does not revoke")
  await pause(1500 + random.below(1500))
  const healed = performance.now()
  line.heal()
  while (!first.acquires.some(({ asked, id }) => id !== undefined && asked > healed)) {
    if (performance.now() > healed + 30_000) break
    await pause(5)
  }
  await stopWork()
  for (const { answered, asked, id } of first.acquires) {
    if (answered < from || asked > healed) continue
    if (id !== undefined && answered > from + underWay && answered < healed) found.values.push(`${how}: ${id}`)
    if (id === undefined && answered < healed) found.refusals.push(answered - asked)
  }
  const served = first.acquires.find(({ asked, id }) => id !== undefined && asked > healed)
  found.returns.push((served?.answered ?? Number.POSITIVE_INFINITY) - healed)
}

const cutOften = async (team: Team, line: Line, what: string, { log, random, rounds }: ScenarioOptions) => {
  const found: Found = { values: [], refusals: [], returns: [] }
  for (let round = 0; round < rounds; round += 1) await cutOnce(team, line, random, found)
  for (const value of found.values) log(`a value left after the cut: ${value}`)
  const late = found.refusals.filter((millis) => millis > timeout + tolerance)
  const slow = found.returns.filter((millis) => millis > 1000 + tolerance)
  const shown = (times: ReadonlyArray<number>) =>
    `median ${Math.round(quantile(times, 0.5))} ms, at most ${Math.round(quantile(times, 1))} ms`
  const rows: ReadonlyArray<Row> = [
    { what: `values after the line was ${what}`, tried: rounds, failed: found.values.length },
    {
      what: `late refusals while it was ${what}`,
      tried: found.refusals.length,
      failed: late.length,
      stats: shown(found.refusals)
    },
    { what: `late returns after it was ${what}`, tried: rounds, failed: slow.length, stats: shown(found.returns) }
  ]
  return [...rows, ...(await judge(team, log))]
}

/** By a proxy, as any user. */
const byProxy = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const proxy = new Proxy("")
  const section: TeamOptions["section"] = (section, name, cluster) => {
    if (name !== "m1") return {}
    proxy.target = path.join(cluster.directory, ".s.PGSQL.5432")
    return { url: section["url"].replace(/host=.*/, `host=${path.join(cluster.directory, "proxy")}`) }
  }
  const prepare = (data: string) => {
    const directory = path.join(data, "../proxy")
    execFileSync("mkdir", [directory])
    void proxy.listen({ path: path.join(directory, ".s.PGSQL.5432"), writableAll: true })
  }
  let isForgotten = false
  const line: Line = {
    cut: (random) => {
      const how = random.pick(["swallow", "swallow", "reset"] as const)
      isForgotten = random.below(2) === 0
      proxy.cut(how)
      return how
    },
    heal: () => proxy.heal(isForgotten)
  }
  try {
    return await withTeam({ machines: 2, section, prepare }, (team) => cutOften(team, line, "cut", options))
  } finally {
    proxy.close()
  }
}

const namespace = `team-${process.pid}`
const inNamespace = ["ip", "netns", "exec", namespace]
const ip = (...args: ReadonlyArray<string>) => void execFileSync("ip", [...args], { stdio: "ignore" })

/** By the link of a network namespace that has nothing but it. */
const byLink = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  try {
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "set", "lo", "up")
  } catch {
    options.log("left out: a link that is taken down, because there is no ip netns here")
    return []
  }
  let proxy: ReturnType<typeof spawn> | undefined
  const program = fileURLToPath(new URL("../../support/lineProxy.ts", import.meta.url))
  const teamOptions: TeamOptions = {
    machines: 2,
    onMachine: (machine) => {
      if (machine.name === "m1") machine.through = `exec ${inNamespace.join(" ")} "$@"`
    },
    section: (_, name, cluster) => {
      if (name !== "m1") return {}
      const [command = "", ...args] = [...inNamespace, process.execPath, program, "5432"]
      proxy = spawn(command, [...args, path.join(cluster.directory, ".s.PGSQL.5432")], { stdio: "ignore" })
      return { url: "postgres://as_m1@127.0.0.1/team" }
    }
  }
  const line: Line = {
    cut: () => {
      ip("-n", namespace, "link", "set", "lo", "down")
      return "link down"
    },
    heal: () => ip("-n", namespace, "link", "set", "lo", "up")
  }
  try {
    return await withTeam(teamOptions, (team) => cutOften(team, line, "down", options))
  } finally {
    proxy?.kill("SIGKILL")
    if (proxy !== undefined) await once(proxy, "close")
    ip("netns", "del", namespace)
  }
}

export const cuts = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const rounds = Math.ceil(options.rounds / 5)
  return [...(await byProxy({ ...options, rounds })), ...(await byLink({ ...options, rounds }))]
}
