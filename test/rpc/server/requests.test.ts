/**
 * Requests on the wire: the error of a lease that waits, the long poll, and who may answer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import { DaemonInfo } from "../../../src/daemon/lifecycle/DaemonInfo.ts"
import { Restart } from "../../../src/daemon/lifecycle/Restart.ts"
import { CurrentPolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { requestsLayer } from "../../../src/daemon/operations/RequestTable.ts"
import { RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { type Caller, owner } from "../../../src/domain/Caller.ts"
import { makePolicy } from "../../../src/domain/Policy.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { makeAdmission } from "../../../src/rpc/server/admission.ts"
import { makeDispatch } from "../../../src/rpc/server/dispatch.ts"
import { ConnectionState, type WaitEnd } from "../../../src/rpc/transport/Connections.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const info = Layer.succeed(DaemonInfo, {
  pid: 1,
  startedAt: fromMillis(0),
  startedBy: "unknown",
  sockets: [],
  heartbeat: Effect.succeed(undefined),
  uncleanStarts: Effect.succeed(undefined)
})
const services = Layer.mergeAll(
  testLayerNoTelemetry,
  info,
  requestsLayer(),
  Layer.mock(RotationHook, {}),
  Layer.mock(Restart, {})
)

const policy = makePolicy([
  {
    secrets: ["*"],
    clients: undefined,
    via: undefined,
    maxTtl: undefined,
    commands: undefined,
    reason: false,
    approval: "always"
  }
])

const worker: Caller = { role: "lease", socket: "w", scope: { permits: () => true, clientPrefix: "w/" } }
const approver: Caller = { role: "approve", socket: "a", scope: { permits: () => false, clientPrefix: "" } }
const operator: Caller = { role: "operator", socket: "o", scope: undefined }

const send = (method: string, params: object, caller = owner): Effect.Effect<any, never, any> =>
  Effect.gen(function* () {
    const dispatch = yield* makeDispatch(yield* makeAdmission)
    const line = JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 })
    return JSON.parse(yield* Effect.provideService(dispatch({ line }, caller, Effect.succeed), CurrentCaller, caller))
  })

const lease = (clientId: string, caller?: Caller) =>
  send("secrets.lease", { secret_name: "db", client_id: clientId }, caller)

const inDaemon = <A, E>(test: Effect.Effect<A, E, any>) =>
  Effect.andThen(addSecret("db", "open sesame"), test).pipe(
    Effect.provideService(CurrentPolicy, { get: () => policy }),
    Effect.provide(services)
  ) as Effect.Effect<A, E>

describe("requests on the wire", () => {
  it.effect("name the request in the error of a lease that waits, and in that of a denial", () =>
    inDaemon(
      Effect.gen(function* () {
        const { error } = yield* lease("ci")
        const { request_id: id } = error.data
        assert.deepStrictEqual(error, {
          code: -32010,
          message: `approval pending: ${id}`,
          data: { tag: "ApprovalPending", request_id: id, expires_at: fromMillis(600_000).text }
        })
        const listed = yield* send("requests.list", {})
        assert.deepStrictEqual([listed.result.total, listed.result.requests[0].request_id], [1, id])
        yield* send("approvals.answer", { request_id: id, answer: "deny", why: "no" })
        assert.strictEqual((yield* lease("ci")).error.code, -32011)
        assert.strictEqual((yield* lease("other")).error.code, -32010)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* lease("other")).error.code, -32012)
      })
    )
  )

  it.effect("answer a wait at the answer, at its timeout, when the client leaves and when the daemon stops", () =>
    inDaemon(
      Effect.gen(function* () {
        const id = (yield* lease("ci")).error.data.request_id
        const wait = (timeout: number) => send("approvals.wait", { request_id: id, timeout })
        const waiting = yield* Effect.forkChild(wait(50))
        yield* TestClock.adjust("49999 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual((yield* Fiber.join(waiting)).result, { state: "pending" })
        assert.deepStrictEqual((yield* wait(0)).result, { state: "pending" })
        for (const [end, expected] of [
          ["client left", { state: "pending" }],
          ["stopping", { state: "pending", stopping: true }]
        ] as const) {
          const waits: Array<(how: WaitEnd) => void> = []
          const onWaitEnd = (done: (how: WaitEnd) => void) => {
            waits.push(done)
            return () => undefined
          }
          const state = { ...(yield* ConnectionState), onWaitEnd }
          const one = yield* Effect.forkChild(Effect.provideService(wait(50), ConnectionState, state))
          yield* TestClock.adjust(0)
          for (const done of waits) done(end)
          assert.deepStrictEqual((yield* Fiber.join(one)).result, expected)
        }
        const last = yield* Effect.forkChild(wait(50))
        yield* TestClock.adjust("1 second")
        yield* send("approvals.answer", { request_id: id, answer: "approve" })
        assert.deepStrictEqual((yield* Fiber.join(last)).result, { state: "approved" })
        assert.strictEqual((yield* lease("ci")).result.value, "open sesame")
      })
    )
  )

  it.effect("are seen by the workers who made them, and answered by owners and approvers", () =>
    inDaemon(
      Effect.gen(function* () {
        const id = (yield* lease("ci", worker)).error.data.request_id
        yield* lease("ci")
        const totalFor = (caller: Caller) => Effect.map(send("requests.list", {}, caller), ({ result }) => result.total)
        assert.deepStrictEqual(
          [yield* totalFor(worker), yield* totalFor(approver), yield* totalFor(operator)],
          [1, 2, 2]
        )
        const other = { ...worker, scope: { permits: () => true, clientPrefix: "other/" } }
        const waited = yield* send("requests.wait", { request_id: id, timeout: 0 }, other)
        assert.strictEqual(waited.error.data.tag, "RequestNotFound")
        const answer = { request_id: id, answer: "approve" }
        for (const caller of [worker, operator]) {
          assert.strictEqual((yield* send("approvals.answer", answer, caller)).error.data.tag, "AccessDenied")
        }
        assert.strictEqual((yield* send("approvals.answer", answer, approver)).result.holds, "once")
        assert.strictEqual((yield* lease("ci", worker)).result.value, "open sesame")
      })
    )
  )

  it.effect("take a time for a yes, of eight hours at most", () =>
    inDaemon(
      Effect.gen(function* () {
        const id = (yield* lease("ci")).error.data.request_id
        const approve = (given: object) => send("approvals.answer", { request_id: id, answer: "approve", ...given })
        for (const time of ["8h1s", "0s", "-1m", "soon"]) {
          assert.match((yield* approve({ for: time })).error.message, /for must be once, or a duration up to 8h/)
        }
        assert.strictEqual((yield* approve({ for: "8h" })).result.holds, "for 8h")
        for (const pid of [1, 2]) assert.strictEqual((yield* lease(`ci[${pid}]`)).result.value, "open sesame")
      })
    )
  )

  it.effect("ask for a missing secret once, and not for one that is there", () =>
    inDaemon(
      Effect.gen(function* () {
        const ask = (given: object) => send("secrets.request", { client_id: "ci", why: "to deploy", ...given })
        assert.deepStrictEqual((yield* ask({ name: "db" })).result, { state: "exists" })
        const { result } = yield* ask({ name: "new" })
        assert.strictEqual(result.state, "pending")
        assert.deepStrictEqual((yield* ask({ name: "new" })).result, result)
        assert.match((yield* ask({ name: "new", why: "" })).error.message, /why is required/)
        const approved = yield* send("approvals.answer", { request_id: result.request_id, answer: "approve" })
        assert.match(approved.error.message, /store it with secrets add new$/)
        yield* send("secrets.add", { name: "new", value: "v" })
        const waited = yield* send("requests.wait", { request_id: result.request_id, timeout: 50 })
        assert.deepStrictEqual(waited.result, { state: "stored" })
      })
    )
  )

  it.effect("show and record no value that a client wrote into a text", () =>
    inDaemon(
      Effect.gen(function* () {
        yield* send("secrets.request", { client_id: "ci", name: "new", why: "it is open sesame" })
        yield* send("secrets.lease", { client_id: "ci", secret_name: "db", reason: "with open sesame" })
        const { requests } = (yield* send("requests.list", {})).result
        assert.deepStrictEqual(
          requests.map(({ reason }: any) => reason),
          ["it is ***", "with ***"]
        )
        yield* send("approvals.answer", { request_id: requests[1].request_id, answer: "deny", why: "not open sesame" })
        const named = yield* send("secrets.request", { client_id: "ci", name: "open sesame", why: "x" })
        assert.match(named.error.message, /the name is the value of a secret/)
        const entries = yield* AuditLog.use((audit) => audit.tail(100))
        assert.isAbove(entries.length, 3)
        assert.notInclude(JSON.stringify(entries), "open sesame")
      })
    )
  )
})
