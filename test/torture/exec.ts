/**
 * Programs run by `secrets exec`, several at a time. They end by themselves, by a signal of
 * their own, or by signals to `secrets` from before its first statement.
 *
 * When `secrets` exits, the program and its leases have ended. The exit status is passed on,
 * and a masked value was not printed.
 */
import * as fs from "node:fs"
import { constants } from "node:os"
import * as path from "node:path"
import { auditOf, untilReady } from "../harness/daemon.ts"
import { type Ended, start } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"
import { revokedRounds } from "./revokedPrograms.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import type { Random } from "../support/random.ts"

const atATime = 4
/** The value of the secret `token`, which the daemon must have. */
export const value = "hunter22/made+up"

export const scenario: Scenario = {
  promise:
    "a program's exit status is passed on, its leases end with it, and a revoke ends it with what it has started",
  rounds: 60,
  run: async (options) => {
    const [home, other] = [temporaryHome(), temporaryHome()]
    const daemon = start(["serve"], { home })
    try {
      await untilReady(daemon)
      await start(["add", "token"], { home, stdin: value }).ended
      return [await execRounds(home, options), await revokedRounds(other, options)]
    } finally {
      daemon.child.kill("SIGKILL")
      for (const one of [home, other]) fs.rmSync(one, { recursive: true, force: true })
    }
  }
}

/** Runs four programs at a time and counts broken promises. */
export const execRounds = async (home: string, { random, rounds, log }: ScenarioOptions): Promise<Row> => {
  const wrong: Array<string> = []
  const ends = new Map<string, number>()
  for (let round = 0; round < rounds; round += 1) {
    const plays = Array.from({ length: atATime }, (_, at) => playFrom(random, `run-${round}-${at}`))
    for (const [at, ended] of (await Promise.all(plays.map((play) => perform(home, play)))).entries()) {
      const play = plays[at]
      if (play === undefined) continue
      const how = ended.signal ?? String(ended.status)
      ends.set(how, (ends.get(how) ?? 0) + 1)
      wrong.push(...faults(home, play, ended).map((fault) => `${play.client} (${play.kind} ${play.signal}): ${fault}`))
    }
    if (round % 20 === 19) log(`${round + 1} rounds`)
  }
  for (const fault of wrong.slice(0, 10)) log(fault)
  const stats = [...ends].map(([how, times]) => `${times} ${how}`).join(", ")
  return { what: "programs", tried: rounds * atATime, failed: wrong.length, stats }
}

interface Play {
  readonly client: string
  readonly kind: "exits" | "signals itself" | "handles the signal" | "ignores the signal"
  readonly signal: NodeJS.Signals
  readonly status: number
  readonly masked: boolean
  readonly delay: number
}

const playFrom = (random: Random, client: string): Play => ({
  client,
  kind: random.pick(["exits", "signals itself", "handles the signal", "handles the signal", "ignores the signal"]),
  signal: random.pick(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1"]),
  status: random.below(100),
  masked: random.below(2) === 0,
  delay: random.below(600)
})

const name = (signal: NodeJS.Signals): string => signal.slice(3)
const answer = 77

const scriptOf = ({ kind, signal, status }: Play): string => {
  const prints = 'echo "$$ $TOKEN"; '
  switch (kind) {
    case "exits":
      return `${prints}exit ${status}`
    case "signals itself":
      return `${prints}kill -${name(signal)} $$; sleep 5`
    case "handles the signal":
      return `trap "exit ${answer}" ${name(signal)}; ${prints}n=0; while [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done`
    case "ignores the signal":
      return `trap "" ${name(signal)}; ${prints}sleep 0.5; exit ${status}`
  }
}

const perform = async (home: string, play: Play): Promise<Ended> => {
  const mask = play.masked ? ["--mask"] : []
  const line = ["exec", ...mask, "--secret", "token", "--client-id", play.client, "--", "sh", "-c", scriptOf(play)]
  const started = start(line, { home })
  if (play.kind === "handles the signal" || play.kind === "ignores the signal") {
    setTimeout(() => started.child.kill(play.signal), play.delay)
    // A signal before the trap may be lost, so it is sent again; SIGUSR2 ends programs that ignore the first one.
    const again = setInterval(
      () => started.child.kill(play.kind === "handles the signal" ? play.signal : "SIGUSR2"),
      1_000
    )
    void started.ended.then(() => clearInterval(again))
  }
  return await started.ended
}

const faults = (home: string, play: Play, { signal, status, stdout }: Ended): ReadonlyArray<string> => {
  const entries = auditOf(path.join(home, ".agent-secrets")).filter((entry) => entry["client_id"] === play.client)
  const [leased, ended] = ["lease_acquire", "lease_revoke"].map(
    (action) => entries.filter((entry) => entry["action"] === action).length
  )
  const pid = Number(stdout.split(" ")[0])
  const bySignal = 128 + constants.signals[play.signal]
  const expected: ReadonlyArray<number> = {
    exits: [play.status],
    "signals itself": [bySignal],
    // The signal may come before the trap is set, or before the program starts.
    "handles the signal": [answer, bySignal, 130, 143],
    "ignores the signal": [play.status, bySignal, 130, 143, 128 + constants.signals.SIGUSR2]
  }[play.kind]
  return [
    leased === ended ? [] : [`${leased} leases, ${ended} revoked`],
    status === null ? (leased === 0 ? [] : [`ended by ${signal} with a lease`]) : [],
    status !== null && !expected.includes(status) ? [`exit status ${status}`] : [],
    play.masked && stdout.includes(value) ? ["the value was printed"] : [],
    pid > 0 && isAlive(pid) ? ["the program is still there"] : []
  ].flat()
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
