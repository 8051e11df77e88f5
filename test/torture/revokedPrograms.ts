/**
 * Programs run by `secrets exec` whose secret is revoked, while the daemon is killed and replaced, and
 * `exec` stopped and continued. Some ignore SIGTERM, leave processes, or exit in the same moment.
 *
 * When `exec` has exited, none of its processes is left, and the log has an end for each run that ended
 * while there was a daemon.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause, start, type Started } from "../harness/program.ts"
import { Client } from "../harness/connection.ts"
import { hasProc } from "../support/inside.ts"
import type { Random } from "../support/random.ts"
import type { Row, ScenarioOptions } from "./Scenario.ts"

const atATime = 4

const kinds = [
  "obeys",
  "ignores it",
  "leaves one that ignores it",
  "exits in that moment",
  "starts a session",
  "starts one that ignores it",
  ...(hasProc ? (["starts a daemon"] as const) : [])
] as const
type Kind = (typeof kinds)[number]

const sleeping = "sleep 600"
const scripts: Readonly<Record<Kind, string>> = {
  obeys: `echo $$; exec ${sleeping}`,
  "ignores it": `trap "" TERM; echo $$; ${sleeping} & echo $!; wait; wait`,
  "leaves one that ignores it": `sh -c 'trap "" TERM; echo $$; ${sleeping}; ${sleeping}' & echo $$; wait`,
  "exits in that moment": `echo $$; sleep 0.$RANDOM_PART`,
  "starts a session": `$(command -v setsid) ${sleeping} & echo $! $$; wait`,
  "starts one that ignores it": `$(command -v setsid) sh -c 'trap "" TERM; echo $$; ${sleeping}; ${sleeping}' & echo $$; wait`,
  // The shell between ends at once.
  "starts a daemon": `$(command -v setsid) sh -c '${sleeping} >/dev/null 2>&1 & echo $!'; echo $$; exec ${sleeping}`
}

interface Play {
  readonly client: string
  readonly kind: Kind
  readonly isMasked: boolean
  readonly isStopped: boolean
  readonly started: Started
}

const begin = (home: string, random: Random, client: string): Play => {
  const [kind, isMasked] = [random.pick(kinds), random.below(2) === 0]
  const flags = [...(isMasked ? ["--mask"] : []), "--kill-timeout", "300ms", "--secret", "token", "--client-id", client]
  const env = { RANDOM_PART: String(3 + random.below(6)) }
  const started = start(["exec", ...flags, "--", "sh", "-c", scripts[kind]], { home, env })
  return { client, kind, isMasked, isStopped: random.below(4) === 0, started }
}

const call = async (socket: string, method: string, params: object) => {
  const client = new Client(socket)
  const reply = await client.ask(method, params)
  client.close()
  return reply
}

/** Runs four programs at a time, and counts those for which the promise did not hold. */
export const revokedRounds = async (home: string, { log, random, rounds }: ScenarioOptions): Promise<Row> => {
  let daemon: Target = await untilReady(launch({ home }))
  await call(daemon.socket, "add", { name: "token", value: "made up" })
  const wrong: Array<string> = []
  /** Clients whose program ended while there was none. */
  const alone = new Set<string>()
  let kills = 0
  for (let round = 0; round < rounds; round += 1) {
    const plays = Array.from({ length: atATime }, (_, at) => begin(home, random, `revoked-${round}-${at}`))
    for (const { started } of plays) {
      while (started.stdout() === "" && started.child.exitCode === null) await pause(5)
    }
    await pause(random.below(400))
    for (const { isStopped, started } of plays) if (isStopped) started.child.kill("SIGSTOP")
    const isAll = random.below(3) === 0
    if (isAll) await call(daemon.socket, "revokeAll", {})
    else for (const { client } of plays) await call(daemon.socket, "revokeMatching", { client_id: client })
    if (random.below(3) === 0) {
      kills += 1
      await daemon.end("SIGKILL")
      daemon = await untilReady(launch({ home }))
    }
    for (const { started } of plays) started.child.kill("SIGCONT")
    for (const play of plays) {
      wrong.push(...(await faultsOf(play)))
      if (play.started.stderr().includes("could not be revoked")) alone.add(play.client)
    }
    if (round % 20 === 19) log(`${round + 1} rounds`)
  }
  await daemon.end("SIGTERM")
  wrong.push(...unended(path.join(home, ".agent-secrets"), alone))
  for (const fault of wrong.slice(0, 10)) log(fault)
  const tried = rounds * atATime
  return { what: "revoked programs", tried, failed: wrong.length, stats: `the daemon was killed ${kills} times` }
}

const tooLong = 60_000

const faultsOf = async ({ client, isMasked, kind, started }: Play): Promise<ReadonlyArray<string>> => {
  const ended = await Promise.race([started.ended, pause(tooLong).then(() => undefined)])
  const pids = started.stdout().split(/\s+/).filter(Boolean).map(Number)
  const left = pids.filter(isAlive)
  for (const pid of left) process.kill(pid, "SIGKILL")
  if (ended === undefined) started.child.kill("SIGKILL")
  const allowed = kind === "exits in that moment" ? [0, 143] : [143, 137]
  return [
    ended === undefined ? ["exec is still there"] : [],
    ended?.status === undefined || allowed.includes(ended.status ?? -1) ? [] : [`exit status ${ended.status}`],
    left.length > 0 ? [`${left.length} processes are left`] : [],
    ended?.status === 143 && !ended.stderr.includes("revoked; stopping the program") ? [`said: ${ended.stderr}`] : []
  ]
    .flat()
    .map((fault) => `${client} (${kind}${isMasked ? ", masked" : ""}): ${fault}`)
}

/**
 * Names the runs whose last entry is no end, and ends of what had ended. A starter that lost the reply to its end takes the
 * run up at the next daemon and ends it again.
 */
const unended = (directory: string, alone: ReadonlySet<string>): ReadonlyArray<string> => {
  const isOver = new Map<string, boolean>()
  const twice: Array<string> = []
  for (const { action, client_id: client, run_id: run } of auditOf(directory)) {
    if (alone.has(client)) continue
    if (action === "run_begin") isOver.set(run, false)
    if (action !== "run_end") continue
    if (isOver.get(run) !== false) twice.push(`run ${run} ended after its end`)
    isOver.set(run, true)
  }
  return [...twice, ...[...isOver].flatMap(([run, ended]) => (ended ? [] : `run ${run} has no end`))]
}

/** A process that has ended may wait for its new parent to notice. */
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0) && !(hasProc && / Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1")))
  } catch {
    return false
  }
}
