/**
 * The leases of a program and its run: the daemon knows of it from before its start until its end,
 * so a revoke always finds a lease or a run.
 *
 * A daemon without runs, or a socket whose role may not begin one, serves it as before.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { call, sharedTimeout } from "../../../../rpc/client/client.ts"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { CommandError, fromClient } from "../../../command/CommandError.ts"
import { leaseAgain, leaseAll, type LeasedSecret, type LeaseRequest, revokeLeases, revokeTimeout } from "../leaseAll.ts"

/** A run as the daemon knows it. It changes with each reply. */
export interface KnownRun {
  /** Undefined until the daemon has accepted it. */
  runId: string | undefined
  /** The last audit entry that is known. */
  cursor: number
}

/** A program with its leases. */
export interface LeasedRun {
  readonly request: LeaseRequest
  /** For each request at its end: short where the daemon was slow at its begin. */
  readonly endTimeout: Duration.Duration
  /** The last leases; they change with a restart and a renewal. */
  held: ReadonlyArray<LeasedSecret>
  /** The leases whose values the program has: a renewal may get a value that it has not. */
  given: ReadonlyArray<LeasedSecret>
  /** Undefined if the daemon does not watch it. */
  readonly run: KnownRun | undefined
  /** How the program ended. */
  end: RunEnd
}

export interface RunEnd {
  readonly status: number
  readonly signal?: NodeJS.Signals | undefined
  readonly because?: string | undefined
}

export const begunExample = { run_id: "", cursor: 0 }

const leastAtEnd = Duration.millis(500)

/** Leases all secrets, or none, and registers the run. */
export const startRun = Effect.fnUntraced(function* (request: LeaseRequest, isRegistered: boolean, mayFail: boolean) {
  const rest = yield* sharedTimeout(request.daemon)
  const held = yield* leaseAll(request)
  const left = { ...request, daemon: yield* rest }
  const run = isRegistered && held.length > 0 ? yield* register(left, held, mayFail) : undefined
  const endTimeout = Duration.clamp((yield* rest).timeout, { minimum: leastAtEnd, maximum: revokeTimeout })
  const begun: LeasedRun = { request, endTimeout, held, given: held, run, end: { status: 0 } }
  return begun
}, Effect.uninterruptible)

const register = (request: LeaseRequest, held: ReadonlyArray<LeasedSecret>, mayFail: boolean) => {
  const daemon = { ...request.daemon, timeout: Duration.min(request.daemon.timeout, revokeTimeout) }
  return call(daemon, "runs.begin", beginParams(request, held), begunExample).pipe(
    Effect.map((begun): KnownRun => ({ runId: begun.run_id, cursor: begun.cursor })),
    Effect.catch((error) => {
      // It is registered as soon as there is a daemon.
      if (error._tag !== "RequestRejected") return Effect.succeed<KnownRun>({ runId: undefined, cursor: 0 })
      const isUnknown = error.tag === "MethodNotFound" || error.tag === "AccessDenied"
      if (isUnknown && mayFail) return Effect.succeed(undefined)
      const problem = error.tag === "LeaseNotFound" ? revokedBefore : fromClient(error)
      return Effect.andThen(revokeLeases(request.daemon, held), Effect.fail(problem))
    })
  )
}

const revokedBefore = new CommandError({
  message: "a lease was revoked before the program was started",
  code: "LeaseNotFound",
  fix: "See who did it: secrets audit --tail 5",
  exitStatus: exitStatus.rejected
})

/** Returns the parameters of `runs.begin`. */
export const beginParams = ({ clientId, origin }: LeaseRequest, held: ReadonlyArray<LeasedSecret>) => ({
  client_id: clientId,
  lease_ids: idsOf(held),
  ...origin
})

/** Returns those with which a daemon takes up a run that it does not know. */
export const takeUpParams = ({ given, request, run }: LeasedRun) => ({
  ...beginParams(request, given),
  run_id: run?.runId ?? "",
  cursor: run?.cursor ?? 0,
  ...givenParams(given)
})

/** Returns the leases with their secrets. */
export const givenParams = (held: ReadonlyArray<LeasedSecret>) => {
  const secrets = new Map(held.map(({ leaseId, secret }) => [leaseId, secret]))
  return {
    lease_ids: [...secrets.keys()].join(","),
    // A name may hold a comma.
    secret_names: [...secrets.values()].map((secret) => Buffer.from(secret).toString("base64")).join(",")
  }
}

const idsOf = (held: ReadonlyArray<LeasedSecret>): string => [...new Set(held.map(({ leaseId }) => leaseId))].join(",")

/** Leases all secrets again. What is leased is held, even if the rest is refused. */
export const leaseRunAgain = Effect.fnUntraced(function* (leased: LeasedRun) {
  const { request, run } = leased
  const { failure, granted } = yield* leaseAgain({ ...request, origin: { ...request.origin, run_id: run?.runId } })
  const again = new Map(granted.map((one) => [one.variable, one]))
  leased.held = leased.held.map((one) => again.get(one.variable) ?? one)
  leased.given = leased.given.map((one) => {
    const same = again.get(one.variable)
    return same !== undefined && Redacted.value(same.value) === Redacted.value(one.value) ? same : one
  })
  if (failure !== undefined) return yield* failure
  return leased.held
}, Effect.uninterruptible)

/** Ends the run with its leases; returns how many leases could not be ended. */
export const finishRun = Effect.fnUntraced(function* (leased: LeasedRun) {
  const { end, endTimeout: timeout, held, request, run } = leased
  const daemon = { ...request.daemon, timeout }
  if (run?.runId === undefined) return yield* revokeLeases(daemon, held)
  const params = { run_id: run.runId, ...end, lease_ids: idsOf(held) }
  const ending = call(daemon, "runs.end", params, endedExample)
  return yield* ending.pipe(
    // A daemon that has restarted takes the run up, so that its log has the end of it.
    Effect.catchTag("RequestRejected", ({ tag }) =>
      tag === "RunNotFound"
        ? Effect.andThen(call(daemon, "runs.begin", takeUpParams(leased), begunExample), ending)
        : ending
    ),
    Effect.as(0),
    Effect.catchTag("RequestRejected", () => revokeLeases(daemon, held)),
    Effect.orElseSucceed(() => held.length)
  )
}, Effect.uninterruptible)

const endedExample = { success: true }
