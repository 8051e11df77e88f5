/**
 * The life of the worker: it starts with the first run, and ends a minute after the last. One that
 * dies, or is killed because it did not confirm an end, is started again if there are runs.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { FromWorker, ToWorker } from "../../domain/proxyMessages.ts"
import {
  areInPlace,
  claimProxySockets,
  type PlacedSockets,
  placeProxySockets,
  type ProxySocket,
  removeProxySockets
} from "./proxySockets.ts"
import { CurrentLaunch, ProxyUnavailable, type WorkerProcess } from "./WorkerProcess.ts"

/** How long a worker without runs lives. */
export const idleTime = Duration.minutes(1)
/** Within this time a worker has to be ready, or to listen. */
const startTimeout = Duration.seconds(10)

export interface WorkerOptions {
  readonly sockets: ReadonlyArray<ProxySocket>
  /** Takes what is not about the start. */
  readonly receive: (message: FromWorker) => void
  readonly hasRuns: () => boolean
  /** Runs when a worker is gone that should not be, and has no successor yet. */
  readonly onLoss: (how: string) => Effect.Effect<void>
}

interface Living {
  readonly process: WorkerProcess
  readonly startedAt: number
  readonly scope: Scope.Closeable
  readonly placed: PlacedSockets
  /** Completes the wait for an answer to `listen`. */
  listening: Deferred.Deferred<void, ProxyUnavailable>
}

export const makeWorkerLife = Effect.fnUntraced(function* (options: WorkerOptions) {
  const { hasRuns, onLoss, receive, sockets } = options
  const launch = yield* CurrentLaunch
  const serviceScope = yield* Effect.scope
  /** Starts and ends, one at a time. */
  const gate = Semaphore.withPermit(yield* Semaphore.make(1))
  let living: Living | undefined
  let resting: Fiber.Fiber<void> | undefined

  const listen = (worker: Living) => (paths: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      worker.listening = Deferred.makeUnsafe()
      worker.process.send({ type: "listen", paths })
      return inTime(Deferred.await(worker.listening))
    })

  const start = Effect.gen(function* () {
    const scope = yield* Scope.fork(serviceScope)
    const ready = yield* Deferred.make<void, ProxyUnavailable>()
    const begin = Effect.gen(function* () {
      yield* claimProxySockets(sockets)
      let worker: Living | undefined
      const process = yield* launch((message) => {
        if (message.type === "ready") Deferred.doneUnsafe(ready, Effect.void)
        else if (message.type === "listening" && worker) Deferred.doneUnsafe(worker.listening, Effect.void)
        else if (message.type === "failed" && worker) {
          Deferred.doneUnsafe(worker.listening, Effect.fail(new ProxyUnavailable({ reason: message.reason })))
        } else receive(message)
      })
      yield* Effect.addFinalizer(() => Effect.sync(process.kill))
      const startedAt = yield* Clock.currentTimeMillis
      worker = { process, startedAt, scope, placed: new Map(), listening: Deferred.makeUnsafe() }
      const started = worker
      const dead = (how: string) => {
        const failure = Effect.fail(new ProxyUnavailable({ reason: `its worker ended (${how})` }))
        for (const answer of [ready, started.listening]) Deferred.doneUnsafe(answer, failure)
      }
      yield* Effect.forkScoped(Effect.map(process.ended, dead))
      yield* inTime(Deferred.await(ready))
      yield* Effect.addFinalizer(() => Effect.sync(() => removeProxySockets(started.placed)))
      yield* placeProxySockets(sockets, started.placed, listen(started))
      return started
    })
    const worker = yield* Scope.provide(begin, scope).pipe(Effect.onError(() => Scope.close(scope, Exit.void)))
    living = worker
    yield* Effect.forkIn(
      Effect.flatMap(worker.process.ended, (how) => lost(worker, how)),
      serviceScope
    )
    return worker
  })

  const lost = Effect.fnUntraced(function* (worker: Living, how: string) {
    const isLoss = yield* gate(
      Effect.suspend(() => {
        if (living !== worker) return Effect.succeed(false)
        living = undefined
        return Effect.as(Scope.close(worker.scope, Exit.void), true)
      })
    )
    if (!isLoss) return
    yield* Effect.logWarning(`the worker of the proxy ended: ${how}`)
    yield* onLoss(how)
  })

  const end = gate(
    Effect.suspend(() => {
      const worker = living
      living = undefined
      return worker === undefined ? Effect.void : Scope.close(worker.scope, Exit.void)
    })
  )

  /** Returns a worker that serves on its sockets. */
  const use = gate(
    Effect.gen(function* () {
      if (resting !== undefined) yield* Fiber.interrupt(resting)
      resting = undefined
      const worker = living ?? (yield* start)
      if (!(yield* areInPlace(sockets, worker.placed))) {
        yield* placeProxySockets(sockets, worker.placed, listen(worker))
      }
      return { pid: worker.process.pid, startedAt: worker.startedAt }
    })
  )

  /** Ends the worker a minute after the last run. */
  const rest = Effect.suspend(() => {
    if (living === undefined || hasRuns()) return Effect.void
    const wait = Effect.andThen(
      Effect.sleep(idleTime),
      Effect.suspend(() => (hasRuns() ? Effect.void : end))
    )
    return Effect.map(Effect.forkIn(wait, serviceScope), (fiber) => void (resting = fiber))
  })

  return {
    use,
    rest,
    end,
    send: (message: ToWorker) => living?.process.send(message),
    /** Kills a worker that does not do what it is told; what happens then is that of any loss. */
    kill: () => living?.process.kill(),
    state: () => (living === undefined ? undefined : { pid: living.process.pid, startedAt: living.startedAt })
  }
})

const inTime = <A, E>(wait: Effect.Effect<A, E>) =>
  // What asks for it cannot be interrupted.
  Effect.timeoutOrElse(Effect.interruptible(wait), {
    duration: startTimeout,
    orElse: () => Effect.fail(new ProxyUnavailable({ reason: "its worker does not answer" }))
  })
