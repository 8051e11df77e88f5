/**
 * A lease that a person has to approve: asked once, answered, and over in time. Nobody
 * answering is not a denial.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { acquire } from "../../../src/daemon/operations/acquire.ts"
import { addSecret as addToStore } from "../../../src/daemon/operations/addSecrets.ts"
import { CurrentPolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { followOtherMachines } from "../../../src/daemon/operations/followOtherMachines.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import {
  answerRequest,
  findRequest,
  forgetApprovals,
  listRequests,
  requestSecret,
  revokeApprovals,
  watchRequests
} from "../../../src/daemon/operations/requests.ts"
import { OpenRequests, requestsLayer, RequestTable } from "../../../src/daemon/operations/RequestTable.ts"
import { revokeAllLeases } from "../../../src/daemon/operations/revoke.ts"
import { hour, minute } from "../../../src/domain/GoDuration.ts"
import type { Approval, Asked } from "../../../src/domain/OpenRequest.ts"
import { makePolicy } from "../../../src/domain/Policy.ts"
import type { OtelEvent } from "../../../src/otel/OtelEvent.ts"
import { activeCount, addSecret, testLayer, testLayerWithAudit } from "../../support/testLayer.ts"
import * as Redacted from "effect/Redacted"

const rule = {
  secrets: ["*"],
  clients: undefined,
  via: undefined,
  maxTtl: undefined,
  commands: undefined,
  reason: false
}

const approve = { _tag: "Approve", span: "once" } as const
const approveFor = (span: bigint) => ({ _tag: "Approve", span }) as const
const deny = { _tag: "Deny", why: "not today" } as const

/** Runs a test under a rule that wants an approval, beside the watch that ends requests. */
const under = <A, E, R>(approval: Approval, test: Effect.Effect<A, E, R>, events: Array<OtelEvent> = []) =>
  Effect.gen(function* () {
    yield* Effect.forkScoped(watchRequests)
    yield* TestClock.adjust(0)
    yield* addSecret("db", "open sesame")
    return yield* test
  }).pipe(
    Effect.provideService(CurrentPolicy, { get: () => makePolicy([{ ...rule, approval }]) }),
    Effect.provide(Layer.mergeAll(testLayer(events), requestsLayer(10n * minute))),
    Effect.scoped
  )

const lease = (clientId: string, origin = {}, ttl = 0n) =>
  Effect.result(acquire({ secretName: "db", clientId, ttl, origin }))

/** Leases, and returns the tag of the error, or that there was none. */
const ask = (...given: Parameters<typeof lease>) =>
  Effect.map(lease(...given), (result) => (Result.isFailure(result) ? result.failure._tag : "leased"))

const openIds = Effect.map(listRequests, (open) => open.map(({ id }) => id))
const answerFirst = (answer: Parameters<typeof answerRequest>[1]) =>
  Effect.flatMap(openIds, ([id = ""]) => answerRequest(id, answer))

describe("a lease that a person has to approve", () => {
  it.effect("is pending with the id of a request, and issued once after a yes", () => {
    const events: Array<OtelEvent> = []
    return under(
      "always",
      Effect.gen(function* () {
        const refused = yield* lease("ci")
        if (Result.isSuccess(refused) || refused.failure._tag !== "ApprovalPending") return assert.fail("it is pending")
        const { requestId } = refused.failure
        assert.match(requestId, /^[A-Z]{4}$/)
        assert.strictEqual(refused.failure.message, `approval pending: ${requestId}`)
        assert.strictEqual(yield* activeCount, 0)
        yield* answerRequest(requestId.toLowerCase(), approve)
        assert.strictEqual((yield* findRequest(requestId)).state, "approved")
        const leased = yield* lease("ci")
        assert.strictEqual(Result.isSuccess(leased) && Redacted.value(leased.success.value), "open sesame")
        assert.strictEqual(yield* ask("ci"), "ApprovalPending")
        assert.notDeepEqual(yield* openIds, [requestId])
        const recorded = yield* AuditLog.use((audit) => audit.tail(100))
        assert.deepStrictEqual(
          recorded.slice(1, 5).map(({ action, details, success }) => [action, success, details]),
          [
            ["request_open", true, `${requestId}: a lease waits for an approval`],
            ["lease_acquire", false, `approval pending: ${requestId}`],
            ["request_answer", true, `${requestId}: approved once`],
            ["lease_acquire", true, "TTL: 1h0m0s"]
          ]
        )
        const actions = events.map(({ action }) => action)
        assert.deepStrictEqual(actions.slice(0, 3), ["request.opened", "lease.refused", "approval.granted"])
        assert.notInclude(JSON.stringify([events, recorded]), "open sesame")
      }),
      events
    )
  })

  it.effect("is one request however often it is asked, and another for another way, program, TTL or client", () =>
    under(
      "always",
      Effect.gen(function* () {
        for (const pid of [1, 2, 3]) yield* ask(`laptop/npm[${pid}]`, { via: "exec", program: "npm" })
        assert.strictEqual((yield* openIds).length, 1)
        yield* ask("laptop/npm[4]", { via: "exec", program: "sh" })
        yield* ask("laptop/npm[4]", { via: "mcp", program: "npm" })
        yield* ask("laptop/npm[4]", { via: "exec", program: "npm" }, 5n * minute)
        yield* ask("other", { via: "exec", program: "npm" })
        assert.strictEqual((yield* openIds).length, 5)
      })
    )
  )

  it.effect("needs no second yes of the client group for its time, and no longer", () =>
    under(
      15n * minute,
      Effect.gen(function* () {
        yield* ask("laptop/npm[1]")
        yield* answerFirst(approveFor(15n * minute))
        assert.strictEqual(yield* ask("laptop/npm[1]"), "leased")
        assert.strictEqual(yield* ask("laptop/npm[2]", {}, 5n * minute), "leased")
        assert.strictEqual(yield* ask("other"), "ApprovalPending")
        assert.strictEqual(yield* ask("laptop/npm[2]", { via: "exec" }), "ApprovalPending")
        yield* TestClock.adjust("899999 millis")
        assert.strictEqual(yield* ask("laptop/npm[3]"), "leased")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* ask("laptop/npm[3]"), "ApprovalPending")
      })
    )
  )

  it.effect("can use a yes for two minutes", () =>
    under(
      "always",
      Effect.gen(function* () {
        yield* ask("ci")
        yield* answerFirst(approve)
        yield* TestClock.adjust("119999 millis")
        assert.strictEqual(yield* ask("ci"), "leased")
        yield* ask("ci")
        yield* answerFirst(approve)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* ask("ci"), "ApprovalPending")
      })
    )
  )

  it.effect("is denied at once for ten minutes after a no, also under another program or TTL", () => {
    const events: Array<OtelEvent> = []
    return under(
      "always",
      Effect.gen(function* () {
        yield* ask("ci")
        yield* answerFirst(deny)
        const refused = yield* lease("ci")
        assert.match(Result.isFailure(refused) ? refused.failure.message : "", /^approval denied: .*"db": not today$/)
        assert.strictEqual(yield* ask("ci", { program: "x" }, 2n * minute), "ApprovalDenied")
        yield* TestClock.adjust("599999 millis")
        assert.strictEqual(yield* ask("ci"), "ApprovalDenied")
        assert.strictEqual(events.filter(({ action }) => action === "request.opened").length, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* ask("ci"), "ApprovalPending")
      }),
      events
    )
  })

  it.effect("can be approved after a no that was a mistake", () =>
    under(
      "always",
      Effect.gen(function* () {
        yield* ask("ci")
        const [id = ""] = yield* openIds
        yield* answerRequest(id, deny)
        yield* answerRequest(id, approve)
        assert.strictEqual(yield* ask("ci"), "leased")
        assert.strictEqual((yield* Effect.flip(answerRequest(id, approve)))._tag, "RequestNotFound")
      })
    )
  )

  it.effect("tells once that nobody answered, never as a denial, and then asks again", () => {
    const events: Array<OtelEvent> = []
    return under(
      "always",
      Effect.gen(function* () {
        yield* ask("ci")
        const [id = ""] = yield* openIds
        yield* TestClock.adjust("599999 millis")
        assert.strictEqual((yield* findRequest(id)).state, "pending")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* findRequest(id)).state, "expired")
        assert.strictEqual((yield* Effect.flip(answerRequest(id, approve)))._tag, "RequestNotFound")
        assert.strictEqual(events.at(-1)?.action, "approval.expired")
        const last = (yield* AuditLog.use((audit) => audit.tail(1))).at(0)
        assert.deepStrictEqual(
          [last?.action, last?.success, last?.details],
          ["request_answer", false, `${id}: nobody answered`]
        )
        assert.deepStrictEqual([yield* ask("ci"), yield* ask("ci")], ["ApprovalExpired", "ApprovalPending"])
        assert.notInclude(yield* openIds, id)
      }),
      events
    )
  })

  it.effect("has at most twenty requests of a client and two hundred in all", () =>
    under(
      "always",
      Effect.gen(function* () {
        for (let n = 0; n < 21; n += 1) yield* ask("ci[1]", { program: `p${n}` })
        assert.strictEqual(yield* ask("ci[2]", { program: "p" }), "TooManyRequests")
        assert.strictEqual(yield* ask("ci[2]", { program: "p3" }), "ApprovalPending")
        for (let n = 0; n < 1000; n += 1) yield* ask(`c${n}`)
        assert.strictEqual((yield* openIds).length, 200)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* openIds).length, 0)
        assert.strictEqual(yield* ask("ci[2]", { program: "p" }), "ApprovalPending")
      })
    )
  )

  it.effect("needs a new yes after approve --revoke, a killswitch, a lock, and a start", () =>
    under(
      hour,
      Effect.gen(function* () {
        const approved = Effect.gen(function* () {
          yield* ask("ci[1]")
          yield* answerFirst(approveFor(hour))
          assert.strictEqual(yield* ask("ci[2]"), "leased")
        })
        yield* approved
        assert.strictEqual(yield* revokeApprovals("other", "db"), 0)
        assert.strictEqual(yield* revokeApprovals("ci[9]", "db"), 1)
        yield* approved
        yield* revokeAllLeases()
        yield* approved
        const forgotten = new RequestTable(yield* Clock.Clock)
        assert.strictEqual(yield* Effect.provideService(ask("ci[2]"), OpenRequests, forgotten), "ApprovalPending")
        yield* lockStore()
        assert.strictEqual((yield* OpenRequests).isGranted({ ...missing, kind: "approval", via: "lease" }), false)
      })
    )
  )

  it.effect("opens no request, and uses up no yes, that the audit log does not have", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      broken.now = true
      assert.strictEqual(yield* ask("ci"), "AuditLogError")
      assert.deepStrictEqual(yield* openIds, [])
      broken.now = false
      yield* ask("ci")
      const [id = ""] = yield* openIds
      broken.now = true
      assert.strictEqual((yield* Effect.flip(answerRequest(id, approve)))._tag, "AuditLogError")
      assert.strictEqual((yield* findRequest(id)).state, "pending")
      broken.now = false
      yield* answerRequest(id, approve)
      broken.now = true
      assert.strictEqual(yield* ask("ci"), "AuditLogError")
      broken.now = false
      assert.strictEqual(yield* ask("ci"), "leased")
    }).pipe(
      Effect.provideService(CurrentPolicy, { get: () => makePolicy([{ ...rule, approval: "always" }]) }),
      Effect.provide(Layer.mergeAll(testLayerWithAudit(broken), requestsLayer()))
    )
  })
})

const missing: Asked = {
  kind: "missing",
  secretName: "db",
  clientId: "ci",
  countedAs: "ci",
  via: undefined,
  program: undefined,
  ttl: undefined,
  reason: "to deploy",
  session: undefined,
  approval: undefined
}

/** Follows another machine of a team, on which the killswitch was pulled. */
const killswitchElsewhere = Effect.gen(function* () {
  const audit = yield* AuditLog
  const notices = [{ kind: "killswitch", machine: "m2", seq: 3, isEarlier: false }] as const
  const others = {
    interval: Duration.seconds(5),
    nextNotices: Effect.succeed(notices),
    exposures: Effect.never
  }
  yield* Effect.forkChild(Effect.provideService(followOtherMachines, AuditLog, { ...audit, others }), {
    startImmediately: true
  })
})

describe("an open request", () => {
  for (const [name, act] of [
    ["a lock", lockStore()],
    ["the killswitch", revokeAllLeases()],
    ["the killswitch of another machine", killswitchElsewhere],
    ["another policy", forgetApprovals]
  ] as const) {
    it.effect(`ends with ${name}, so that each lease asks again`, () =>
      under(
        15n * minute,
        Effect.gen(function* () {
          yield* ask("open")
          yield* ask("denied")
          const [open = "", denied = ""] = yield* openIds
          yield* answerRequest(denied, deny)
          const waiting = yield* OpenRequests.pipe(
            Effect.flatMap((table) => table.ended(open)),
            Effect.forkChild({ startImmediately: true })
          )
          yield* act
          yield* Fiber.join(waiting)
          assert.deepStrictEqual(yield* openIds, [])
          for (const id of [open, denied]) {
            assert.strictEqual((yield* Effect.flip(answerRequest(id, approve)))._tag, "RequestNotFound")
          }
          const entries = yield* AuditLog.use((audit) => audit.tail(100))
          assert.include(entries.map(({ details }) => details).join("\n"), `${open}: taken back`)
          if (name === "a lock") return
          assert.strictEqual(yield* ask("open"), "ApprovalPending")
          assert.strictEqual(yield* ask("denied"), "ApprovalPending")
        })
      )
    )
  }

  it.effect("is denied once", () =>
    under(
      "always",
      Effect.gen(function* () {
        yield* ask("ci")
        const [id = ""] = yield* openIds
        yield* answerRequest(id, deny)
        const again = yield* Effect.flip(answerRequest(id, deny))
        assert.strictEqual(again.message, `request "${id}" is not open any more: denied`)
        yield* answerRequest(id, approve)
      })
    )
  )
})

describe("clocks and approvals", () => {
  for (const [name, wall, steady, isHeld] of [
    ["holds while both clocks go on", 899_999, 899_999, true],
    ["ends in time though the wall clock was set back", -3_600_000, 900_000, false],
    ["ends at its time of day though the machine slept", 900_000, 1_000, false]
  ] as const) {
    it(name, () => {
      let [wallNow, steadyNow] = [1_700_000_000_000, 5_000]
      const clock: any = {
        currentTimeMillisUnsafe: () => wallNow,
        monotonicTimeNanosUnsafe: () => BigInt(steadyNow) * 1_000_000n
      }
      const table = new RequestTable(clock)
      const asked = { ...missing, kind: "approval" } as const
      table.admit(asked)
      table.answer(table.pending()[0]?.id ?? "", approveFor(15n * minute))
      wallNow += wall
      steadyNow += steady
      assert.strictEqual(table.isGranted(asked), isHeld)
    })
  }
})

describe("a secret that is missing", () => {
  const layer = Layer.mergeAll(testLayer(), requestsLayer())

  it.effect("is one request of a client, which ends when it is stored", () =>
    Effect.gen(function* () {
      const first = yield* requestSecret(missing)
      const second = yield* requestSecret({ ...missing, reason: "again" })
      assert.deepStrictEqual([first.isNew, second.isNew, second.request.id], [true, false, first.request.id])
      yield* addToStore({ name: "db", value: Redacted.make("x"), rotateVia: "", rotateStdout: false })
      assert.strictEqual((yield* findRequest(first.request.id)).state, "stored")
    }).pipe(Effect.provide(layer))
  )

  it.effect("is not asked for again for ten minutes after a no, and is open for an hour", () =>
    Effect.gen(function* () {
      const { request } = yield* requestSecret(missing)
      yield* answerRequest(request.id, deny)
      assert.strictEqual((yield* requestSecret(missing)).state, "declined")
      yield* TestClock.adjust("10 minutes")
      const again = yield* requestSecret(missing)
      assert.strictEqual(again.state, "pending")
      yield* TestClock.adjust("3599999 millis")
      assert.strictEqual((yield* findRequest(again.request.id)).state, "pending")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* findRequest(again.request.id)).state, "expired")
    }).pipe(Effect.provide(layer))
  )
})
