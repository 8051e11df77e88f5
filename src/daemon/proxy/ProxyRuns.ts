/**
 * The open runs of the proxy. Each is a run of `Runs` too, so that notices reach it in the same way:
 * a change of a value goes on to the worker, and everything else ends the run.
 *
 * What is to be cut is cut first: the worker is told as soon as the entry of a revoke is on the
 * disk, before its reply. A worker that does not confirm it in time is killed. Its counts are
 * recorded at the first use, every few minutes, and at the end.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { releaseFact, runEndFact } from "../../domain/leaseFacts.ts"
import { proxyCloseFact, proxyOpenFact, proxyUseFact, refusedCount } from "../../domain/proxyFacts.ts"
import type { FromWorker, OpenedRun, OpenRoute, Totals } from "../../domain/proxyMessages.ts"
import type { PlacedNotice } from "../../domain/Run.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { setProxy } from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Runs } from "../runs/Runs.ts"
import type { Run } from "../runs/RunTable.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { makeProxyRecords } from "./proxyRecords.ts"
import type { ProxyRun } from "./ProxyRun.ts"
import type { ProxySocket } from "./proxySockets.ts"
import { ProxyTotals } from "./proxyTotals.ts"
import { makeWorkerLife } from "./workerLife.ts"
import { ProxyUnavailable } from "./WorkerProcess.ts"

/** Within this time a worker confirms that everything of a run is cut. */
export const closeTimeout = Duration.millis(50)
/** The same after the end of a program, which is against no one's will: a kill would cut the requests of all others. */
const endTimeout = Duration.seconds(5)
/** Within this time it answers that a run is open, or reports. */
const answerTimeout = Duration.seconds(5)
/** How often it is looked whether a run has expired, or an entry is due. */
const tickInterval = Duration.seconds(1)

export interface ProxyRunsOptions {
  readonly sockets: ReadonlyArray<ProxySocket>
}

export const makeProxyRuns = Effect.fnUntraced(function* ({ sockets }: ProxyRunsOptions) {
  const audit = yield* AuditLog
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const table = yield* Runs
  const sink = yield* OtelSink
  /** Closed after the runs are over. */
  const scope = yield* Scope.make()
  const runs = new Map<string, ProxyRun>()
  const context = yield* Effect.context<never>()
  const fork = (effect: Effect.Effect<void>): void => void Effect.runForkWith(context)(effect)

  /** Facts that a full disk kept out of the log. */
  let unwritten: ReadonlyArray<AuditFact> = []
  const record = (facts: ReadonlyArray<AuditFact>) =>
    Effect.suspend(() => {
      const all = [...unwritten, ...facts]
      unwritten = []
      if (all.length === 0) return Effect.void
      const keep = Effect.sync(() => void (unwritten = all.slice(-maxUnwritten)))
      return Effect.matchEffect(audit.append(all), { onFailure: () => keep, onSuccess: () => Effect.void })
    })

  const records = yield* Scope.provide(
    makeProxyRecords({
      find: (id) => runs.get(id),
      record,
      answer: (id) => life.send({ type: "recorded", id })
    }),
    scope
  )
  const reports = new Map<number, Deferred.Deferred<void>>()
  let lastReport = 0

  const takeTotals = (id: string, totals: Totals) => runs.get(id)?.totals.take(totals)

  const receive = (message: FromWorker): void => {
    switch (message.type) {
      case "opened": {
        const run = runs.get(message.run)
        if (run !== undefined) Deferred.doneUnsafe(run.opened, Effect.succeed(message.ca))
        return
      }
      case "rejected": {
        const reason = new ProxyUnavailable({ reason: message.why })
        const run = runs.get(message.run)
        if (run !== undefined) Deferred.doneUnsafe(run.opened, Effect.fail(reason))
        return
      }
      case "closed": {
        takeTotals(message.run, message.totals)
        const run = runs.get(message.run)
        if (run !== undefined) Deferred.doneUnsafe(run.closed, Effect.void)
        return
      }
      case "totals":
        takeTotals(message.run, message.totals)
        setProxy(runs.size, inFlight())
        return
      case "reported": {
        for (const { run, totals } of message.runs) takeTotals(run, totals)
        const report = reports.get(message.id)
        if (report !== undefined) Deferred.doneUnsafe(report, Effect.void)
        return
      }
      case "used":
      case "refused":
      case "notable":
        return records.take(message)
    }
  }

  const inFlight = () =>
    [...runs.values()].flatMap(({ totals }) => totals.all()).reduce((sum, route) => sum + route.inFlight, 0)

  /** Returns what a worker needs of a run; fails if a value is not there any more. */
  const opening = (proxyRun: ProxyRun): Result.Result<OpenedRun, string> => {
    const { connectHash, expires, run } = proxyRun
    const routes: Array<OpenRoute> = []
    for (const route of proxyRun.routes) {
      const found = secrets.get(route.secret)
      if (Result.isFailure(found)) return Result.fail(found.failure._tag === "StoreLocked" ? "locked" : "deleted")
      routes.push({ ...route, value: Redacted.value(found.success.value) })
    }
    return Result.succeed({ run: run.id, client: run.clientId, expires, routes, connectHash })
  }

  /** Opens the runs in another worker. One with a CA is over: its programs know that of the worker that is gone. */
  const onLoss = (how: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      const all = [...runs.values()]
      for (const one of all) if (one.state === "closing") Deferred.doneUnsafe(one.closed, Effect.void)
      const open = all.filter(({ state }) => state === "open")
      const kept = open.filter(({ routes }) => !routes.some(({ intercept }) => intercept))
      for (const one of open) if (!kept.includes(one)) beginClose(one, `the worker ended: ${how}`, { isDead: true })
      if (kept.length === 0) return
      yield* life.use
      for (const one of kept) {
        const message = opening(one)
        if (Result.isFailure(message)) beginClose(one, message.failure, { isDead: true })
        else {
          one.totals.continueElsewhere()
          life.send({ type: "open", ...message.success })
        }
      }
    }).pipe(
      Effect.catchTag("ProxyUnavailable", (error) =>
        Effect.sync(() => {
          for (const one of runs.values()) beginClose(one, error.message, { isDead: true })
        })
      )
    )

  const life = yield* Scope.provide(makeWorkerLife({ sockets, receive, hasRuns: () => runs.size > 0, onLoss }), scope)

  /** Cuts a run at once, and records its end later. `isDead`: there is no worker to confirm it. */
  const beginClose = (proxyRun: ProxyRun, why: string, { isDead = false, keepsLeases = false } = {}): void => {
    if (proxyRun.state === "closing") return
    const isUnknown = isDead || proxyRun.state === "new"
    proxyRun.state = "closing"
    if (isUnknown) Deferred.doneUnsafe(proxyRun.closed, Effect.void)
    else life.send({ type: "close", run: proxyRun.run.id, why })
    fork(finishClose(proxyRun, why, { isDead, keepsLeases }))
  }

  const finishClose = Effect.fnUntraced(function* (
    proxyRun: ProxyRun,
    why: string,
    { isDead, keepsLeases }: Readonly<Record<"isDead" | "keepsLeases", boolean>>
  ) {
    const { closed, ended, opened, run, totals } = proxyRun
    Deferred.doneUnsafe(opened, Effect.fail(new ProxyUnavailable({ reason: `the run ended: ${why}` })))
    yield* Effect.timeoutOrElse(Deferred.await(closed), {
      duration: keepsLeases ? endTimeout : closeTimeout,
      orElse: () => Effect.sync(() => life.kill())
    })
    runs.delete(run.id)
    setProxy(runs.size, inFlight())
    const all = totals.all()
    yield* record([
      ...useFacts(proxyRun, totals.due(yield* Clock.currentTimeMillis, true)),
      proxyCloseFact(run, why, all)
    ])
    const requests = all.reduce((sum, route) => sum + route.requests, 0)
    const refused = all.reduce((sum, route) => sum + refusedCount(route), 0)
    yield* sink.emit(OtelEvent.proxyClosed(run, { reason: why, requests, refused }))
    if (!keepsLeases) yield* releaseLeases(run)
    // Its program opens another one; that would be told by no notice.
    if (isDead) {
      yield* record([runEndFact(run, why)])
      yield* table.finish(run, why)
    }
    // After these, nothing of a value is to be left in a memory.
    if (runs.size === 0 && (why === "locked" || why === "killswitch")) yield* life.end
    else yield* life.rest
    Deferred.doneUnsafe(ended, Effect.void)
  })

  /** Ends the leases of a run whose program may go on. */
  const releaseLeases = (run: Run) => {
    const ids = [...run.leases.values()]
    return Effect.ignore(
      leases.transaction({ _tag: "Leases", ids }, (tx) => {
        for (const lease of ids.flatMap((id) => tx.find(id) ?? [])) tx.revoke(lease, releaseFact(lease, run.id))
        return Result.succeed(undefined)
      })
    )
  }

  const notified = (proxyRun: ProxyRun, { kind, secretName }: PlacedNotice): void => {
    if (kind !== "changed" || secretName === undefined) return beginClose(proxyRun, kind)
    const found = secrets.get(secretName)
    if (Result.isFailure(found)) return beginClose(proxyRun, "changed")
    life.send({ type: "value", secret: secretName, value: Redacted.value(found.success.value) })
  }

  const end = (proxyRun: ProxyRun, why: string) =>
    Effect.andThen(
      Effect.sync(() => beginClose(proxyRun, why, { keepsLeases: true })),
      Deferred.await(proxyRun.ended)
    )

  /** Records that a run is open, and then opens it; returns the CA, if it has one. */
  const open = Effect.fnUntraced(function* (run: Run, given: Pick<ProxyRun, "routes" | "connectHash" | "expires">) {
    const proxyRun: ProxyRun = {
      ...given,
      run,
      totals: new ProxyTotals(given.routes, yield* Clock.currentTimeMillis),
      opened: yield* Deferred.make<string | undefined, ProxyUnavailable>(),
      closed: yield* Deferred.make<void>(),
      ended: yield* Deferred.make<void>(),
      state: "new"
    }
    runs.set(run.id, proxyRun)
    run.carrier = {
      notified: (notice) => notified(proxyRun, notice),
      end: (why) => end(proxyRun, why)
    }
    // What came before there was a carrier.
    if (run.told !== undefined && run.told.kind !== "changed") beginClose(proxyRun, run.told.kind)
    yield* audit.append([proxyOpenFact(run, given.routes)])
    const message = opening(proxyRun)
    if (Result.isFailure(message)) beginClose(proxyRun, message.failure)
    else if (isNew(proxyRun)) {
      proxyRun.state = "open"
      setProxy(runs.size, inFlight())
      life.send({ type: "open", ...message.success })
    }
    yield* tickWhileNeeded
    const ca = yield* Effect.timeoutOrElse(Effect.interruptible(Deferred.await(proxyRun.opened)), {
      duration: answerTimeout,
      orElse: () => Effect.fail(new ProxyUnavailable({ reason: "its worker does not answer" }))
    })
    yield* sink.emit(
      OtelEvent.proxyOpened(
        run,
        given.routes.map(({ name }) => name)
      )
    )
    return { ca, ended: Deferred.await(proxyRun.ended) }
  })

  /** Asks the worker for its counts; those that are known stand if it does not answer. */
  const refresh = Effect.suspend(() => {
    if (runs.size === 0) return Effect.void
    const id = (lastReport += 1)
    const report = Deferred.makeUnsafe<void>()
    reports.set(id, report)
    life.send({ type: "report", id })
    return Effect.ensuring(
      Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Deferred.await(report)), closeTimeout)),
      Effect.sync(() => reports.delete(id))
    )
  })

  const tick = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const one of runs.values()) if (now > one.expires) beginClose(one, "expired")
    yield* record([...runs.values()].flatMap((one) => useFacts(one, one.totals.due(now))))
  })
  let isTicking = false
  const tickWhileNeeded = Effect.suspend(() => {
    if (isTicking) return Effect.void
    isTicking = true
    const isNeeded = () => (isTicking = runs.size > 0 || unwritten.length > 0)
    const ticks = Effect.whileLoop({
      while: isNeeded,
      body: () => Effect.andThen(Effect.sleep(tickInterval), tick),
      step: () => undefined
    })
    return Effect.asVoid(Effect.forkIn(Effect.interruptible(ticks), scope))
  })
  const endAll = Effect.suspend(() =>
    Effect.forEach([...runs.values()], (one) => end(one, "the daemon stopped"), {
      concurrency: "unbounded",
      discard: true
    })
  )
  yield* Effect.addFinalizer((exit) => Effect.andThen(endAll, Scope.close(scope, exit)))

  return {
    /** Starts the worker if there is none. */
    prepare: life.use,
    open,
    end,
    rest: life.rest,
    /** Does something for as long as the daemon runs. */
    fork,
    refresh,
    all: (): ReadonlyArray<ProxyRun> => [...runs.values()],
    /** What the routes of a secret have carried in a run, as far as it is known. */
    uses: (id: string, secretName: string): ProxyUse => {
      const run = runs.get(id)
      const names = run?.routes.flatMap(({ name, secret }) => (secret === secretName ? [name] : []))
      const used = run?.totals.all().filter(({ route }) => names?.includes(route)) ?? []
      const last = used.flatMap(({ lastUsed }) => lastUsed ?? [])
      return {
        requests: used.reduce((sum, { requests }) => sum + requests, 0),
        lastUsed: last.length === 0 ? undefined : Math.trunc(Math.max(...last))
      }
    },
    worker: life.state,
    socketOf: (caller: string | undefined) => (sockets.find((one) => one.caller === caller) ?? sockets[0])?.path ?? ""
  }
})

export interface ProxyUse {
  readonly requests: number
  /** In milliseconds. */
  readonly lastUsed: number | undefined
}

export type ProxyRuns = Effect.Success<ReturnType<typeof makeProxyRuns>>

/** Returns whether the worker does not have it yet. The type checker would not see that a revoke changes the state. */
const useFacts = ({ routes, run }: ProxyRun, due: Totals): ReadonlyArray<AuditFact> =>
  due.flatMap((totals) => {
    const route = routes.find(({ name }) => name === totals.route)
    return route === undefined ? [] : [proxyUseFact(run, route, totals)]
  })

const isNew = ({ state }: ProxyRun): boolean => state === "new"

/** More is forgotten while the disk is full. */
const maxUnwritten = 10_000
