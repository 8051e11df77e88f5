/**
 * Workers of the proxy that are no processes: they remember what they are told, and answer.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { LaunchWorker } from "../../src/daemon/proxy/WorkerProcess.ts"
import { type FromWorker, noTotals, type RouteTotals, type ToWorker } from "../../src/domain/proxyMessages.ts"

export interface StubWorker {
  readonly told: Array<ToWorker>
  /** Sends a message to the daemon. */
  readonly say: (message: FromWorker) => void
  readonly die: (how: string) => void
  /** Whether it confirms that a run is closed. */
  confirms: boolean
  isKilled: boolean
  /** What it has counted of each run. */
  readonly totals: Map<string, ReadonlyArray<RouteTotals>>
}

/** Where workers die, one after the other; "lives" is none. */
export type WorkerFate = "lives" | "before it is ready" | "at an open" | "at a close"

/** Returns how to start such workers, and all that were started. */
export const stubWorkers = (ca?: string, fates: Array<WorkerFate> = []) => {
  const workers: Array<StubWorker> = []
  const launch: LaunchWorker = (say) =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<string>()
      const die = (how: string) => void Deferred.doneUnsafe(ended, Effect.succeed(how))
      const worker: StubWorker = { told: [], say, die, confirms: true, isKilled: false, totals: new Map() }
      workers.push(worker)
      const fate = fates.shift() ?? "lives"
      queueMicrotask(() => (fate === "before it is ready" ? die("exit status 1") : say({ type: "ready" })))
      return {
        pid: 40_000 + workers.length,
        send: (message) => {
          worker.told.push(message)
          if (fate === `at an ${message.type}` || fate === `at a ${message.type}`) return die("SIGKILL")
          const answer = answerOf(worker, message, ca)
          if (answer !== undefined && !worker.isKilled) say(answer)
        },
        kill: () => {
          worker.isKilled = true
          die("SIGKILL")
        },
        ended: Deferred.await(ended)
      }
    })
  return { workers, launch }
}

const answerOf = (worker: StubWorker, message: ToWorker, ca: string | undefined): FromWorker | undefined => {
  const totalsOf = (run: string) => worker.totals.get(run) ?? []
  switch (message.type) {
    case "listen":
      return { type: "listening" }
    case "open":
      worker.totals.set(
        message.run,
        message.routes.map(({ name }) => noTotals(name))
      )
      return { type: "opened", run: message.run, ca }
    case "close":
      return worker.confirms ? { type: "closed", run: message.run, totals: totalsOf(message.run) } : undefined
    case "report":
      return {
        type: "reported",
        id: message.id,
        runs: [...worker.totals].map(([run, totals]) => ({ run, totals }))
      }
    case "value":
    case "recorded":
      return undefined
  }
}
