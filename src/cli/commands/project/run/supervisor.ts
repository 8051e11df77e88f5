/**
 * What `exec` does beside its program: the state machine, with what feeds it and what it does.
 *
 * It is loaded after the program has started, so that the start does not wait for it. One
 * supervisor lasts for all programs of an `exec` that restarts them.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { sleepUntil } from "../../../../process/sleepUntil.ts"
import type { CommandError } from "../../../command/CommandError.ts"
import { printNotice } from "../../../command/Output.ts"
import { checkVariables, type LeasedSecret, variablesOf } from "../leaseAll.ts"
import { printWarning } from "../requestedSecrets.ts"
import type { RunningChild } from "../runChild.ts"
import { askOnce } from "./askOnce.ts"
import type { Rules } from "./reactions.ts"
import { beginParams, givenParams, type KnownRun, type LeasedRun, leaseRunAgain, takeUpParams } from "./registerRun.ts"
import { reportJson, reportText } from "./reportText.ts"
import { runReaction } from "./runReaction.ts"
import type { Input, News, Report } from "./programStates.ts"
import { supervise, type World } from "./superviseProgram.ts"
import { followRun } from "./followRun.ts"

type Leased = ReadonlyArray<LeasedSecret>

export interface Supervised {
  readonly rules: Rules
  /** Reports as JSON. */
  readonly json: boolean
  /** Undefined if the values are not leased. */
  readonly leased: LeasedRun | undefined
  /** Returns when the first value expires, in milliseconds since the epoch. */
  readonly firstExpiry: () => number | undefined
  /** What happened to the secrets that the program uses through a proxy. */
  readonly proxyNews?: Queue.Dequeue<News> | undefined
}

/** Returns a function that supervises one program after the other, each until it is over. */
export const makeSupervisor = Effect.fnUntraced(function* (supervised: Supervised) {
  const { json, leased, rules } = supervised
  const inputs = yield* Queue.unbounded<Input<Leased>>()
  const one = yield* Semaphore.make(1)
  const leasing =
    leased === undefined
      ? Effect.never
      : Semaphore.withPermit(
          one,
          Effect.tap(leaseRunAgain(leased), (held) => checkVariables(variablesOf(held)))
        )
  const offer = (news: News) => void Queue.offerUnsafe(inputs, { kind: "news", news })
  const report = (told: Report, isOver: boolean) =>
    json ? Effect.sync(() => printNotice(reportJson(told))) : printWarning("exec", reportText(told, isOver))
  const restarts: Array<number> = []
  let isAgain = false
  return (running: RunningChild) => {
    const given = isAgain && leased !== undefined ? givenParams(leased.given) : undefined
    isAgain = true
    const world: World<Leased> = {
      rules,
      inputs,
      leaseAgain: Effect.mapError(leasing, ({ message }) => message),
      runCommand: (command, news) => runReaction(command, news, running.processes.pid ?? 0, rules.killTimeout),
      report,
      reportsAtEnd: process.getBuiltinModule("node:tty").isatty(2),
      restarts
    }
    return Effect.gen(function* () {
      yield* Effect.forkScoped(watchExpiry(supervised, leasing, offer))
      const { proxyNews } = supervised
      if (proxyNews !== undefined) yield* Effect.forkScoped(Effect.forever(Effect.map(Queue.take(proxyNews), offer)))
      if (leased?.run !== undefined) {
        yield* Effect.forkScoped(
          watchLeased(leased.run, { ...supervised, leased, given }, running.processes.pid ?? 0, offer)
        )
      }
      return yield* supervise(running, world)
    }).pipe(Effect.scoped)
  }
})

const watchLeased = (
  run: KnownRun,
  {
    firstExpiry,
    given,
    leased,
    rules
  }: Supervised & { readonly leased: LeasedRun; readonly given: object | undefined },
  pid: number,
  offer: (news: News) => void
) =>
  followRun(askOnce(leased.request.daemon), {
    run,
    pid,
    beginParams: () => beginParams(leased.request, leased.held),
    takeUpParams: () => takeUpParams(leased),
    given,
    offer,
    requireDaemon: rules.requireDaemon,
    onRefusal: Effect.fnUntraced(function* ({ message, tag }) {
      const isNew = run.runId === undefined
      // The daemon was away at the start, and a lease has ended since.
      const isRevoked = isNew && tag === "LeaseNotFound" && (firstExpiry() ?? 0) > (yield* Clock.currentTimeMillis)
      if (isRevoked) return offer({ because: "revoked" })
      if (!isNew) yield* printWarning("exec", `the daemon does not watch the program: ${message}`)
    })
  })

/** Renewing earlier costs more, and later leaves less time to try again. */
const renewedPart = 2 / 3
/** Between attempts to renew, in milliseconds. */
const renewPause = 5_000

const watchExpiry = Effect.fnUntraced(function* (
  { firstExpiry, rules }: Supervised,
  leasing: Effect.Effect<Leased, CommandError>,
  offer: (news: News) => void
) {
  if (rules.onExpiry.kind === "ignore") return
  if (rules.onExpiry.kind !== "renew") {
    const expiry = firstExpiry()
    if (expiry === undefined) return
    yield* sleepUntil(expiry)
    return offer({ because: "expired" })
  }
  let isFailing = false
  while (true) {
    const now = yield* Clock.currentTimeMillis
    const left = Math.max(0, (firstExpiry() ?? Infinity) - now)
    yield* sleepUntil(now + (isFailing ? renewPause : left * renewedPart))
    const failure = yield* Effect.match(leasing, { onSuccess: () => undefined, onFailure: (error) => error })
    if (failure !== undefined && !isFailing)
      yield* printWarning("exec", `the leases are not renewed: ${failure.message}`)
    if (failure?.exitStatus === exitStatus.rejected || failure?.exitStatus === exitStatus.notFound) return
    isFailing = failure !== undefined
  }
})
