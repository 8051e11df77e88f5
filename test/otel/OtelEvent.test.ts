/**
 * Each event matches its definition, and none contains a secret's value.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import { document, renewed } from "../../scripts/eventsTable.ts"
import { CurrentPolicy } from "../../src/daemon/operations/CurrentPolicy.ts"
import { deleteSecret } from "../../src/daemon/operations/deleteSecret.ts"
import { killswitch } from "../../src/daemon/operations/killswitch.ts"
import { lockStore, unlockStore } from "../../src/daemon/operations/lock.ts"
import { answerRequest, listRequests, watchRequests } from "../../src/daemon/operations/requests.ts"
import { requestsLayer } from "../../src/daemon/operations/RequestTable.ts"
import { revokeAllLeases, revokeLease } from "../../src/daemon/operations/revoke.ts"
import { rotateSecret } from "../../src/daemon/operations/rotate.ts"
import { sweepExpired } from "../../src/daemon/operations/sweep.ts"
import { second } from "../../src/domain/GoDuration.ts"
import { makePolicy } from "../../src/domain/Policy.ts"
import * as OtelEvent from "../../src/otel/OtelEvent.ts"
import { runHandlers } from "../../src/rpc/server/handlers/runs.ts"
import { addSecret, acquireLease, testLayer, rotationHook } from "../support/testLayer.ts"

const value = "a value that no event contains"

const proxyRun = { id: "1", clientId: "laptop/agent[1]", leases: new Map(), origin: { program: "agent" } }

/** Runs each operation that emits events. */
const runEachOperation = (events: Array<OtelEvent.OtelEvent>, status: "done" | "timed out" = "done") =>
  Effect.gen(function* () {
    yield* addSecret("db", value, "the command")
    const { lease } = yield* acquireLease("db", "worker")
    yield* acquireLease("db", "worker")
    yield* acquireLease("db", "short", second)
    yield* Effect.ignore(acquireLease("no such secret", "worker"))
    yield* TestClock.adjust("2 seconds")
    yield* sweepExpired()
    yield* Effect.ignore(revokeLease(lease.id))
    const other = yield* acquireLease("db", "other")
    yield* revokeLease(other.lease.id)
    yield* Effect.ignore(rotateSecret("db"))
    yield* revokeAllLeases()
    yield* acquireLease("db", "worker")
    yield* deleteSecret("db")
    yield* addSecret("db", value, "the command")
    const run = yield* acquireLease("db", "worker")
    const begun = { client_id: "worker", lease_ids: run.lease.id, program: "npm", via: "exec" }
    const { run_id } = yield* runHandlers["runs.begin"](begun)
    yield* lockStore()
    yield* runHandlers["runs.watch"]({ run_id })
    yield* runHandlers["runs.end"]({ run_id, status: 0 })
    yield* unlockStore()
    yield* askPerson
    yield* killswitch({ revokeAll: true, rotateAll: true, wipeStore: true })
    events.push(
      OtelEvent.daemonStarted({
        pid: 1,
        version: "1",
        socketPath: "/s",
        activeLeases: 0,
        secretCount: 0,
        auditSeq: 1,
        auditHash: "x"
      }),
      OtelEvent.daemonStopped({ pid: 1, reason: "x", uptimeMs: 1, activeLeases: 0, auditSeq: 1, auditHash: "x" }),
      OtelEvent.daemonCrashRecovered({
        previousPid: undefined,
        staleSocket: true,
        leasesRestored: 0,
        leasesExpired: 0
      }),
      OtelEvent.daemonCrashLooping({ uncleanStarts: 3, firstStartAt: "2026-11-22T00:00:00Z" }, "it was killed"),
      OtelEvent.auditWriteFailed("the disk is full"),
      OtelEvent.auditWitnessed({ auditSeq: 1, auditHash: "x" }),
      OtelEvent.proxyOpened(proxyRun, ["github"]),
      OtelEvent.proxyClosed(proxyRun, { reason: "revoked", requests: 3, refused: 1 }),
      OtelEvent.proxyRefused({ runId: "1", route: "github", reason: "path", count: 2 }),
      OtelEvent.proxyMasked(proxyRun, "github"),
      OtelEvent.sinkDropped(3)
    )
  }).pipe(
    Effect.provide(
      Layer.provideMerge(
        testLayer(events),
        rotationHook(() => ({
          stdout: Buffer.from(value),
          stderr: new Uint8Array(),
          status,
          outcome: "exit status 0"
        }))
      )
    )
  )

/** Has three requests for an approval: approved, denied, and not answered in time. */
const askPerson = Effect.gen(function* () {
  const watch = yield* Effect.forkChild(watchRequests)
  yield* TestClock.adjust(0)
  for (const client of ["yes", "no", "late"]) yield* Effect.ignore(acquireLease("db", client))
  const [yes, no] = yield* listRequests
  yield* answerRequest(yes?.id ?? "", { _tag: "Approve", span: "once" })
  yield* answerRequest(no?.id ?? "", { _tag: "Deny", why: "" })
  yield* TestClock.adjust("10 minutes")
  yield* Fiber.interrupt(watch)
}).pipe(Effect.provideService(CurrentPolicy, { get: () => approvalPolicy }), Effect.provide(requestsLayer()))
const approvalPolicy = makePolicy([
  {
    secrets: ["*"],
    clients: undefined,
    via: undefined,
    maxTtl: undefined,
    commands: undefined,
    approval: "always",
    reason: false
  }
])

describe("events", () => {
  it.effect("are all emitted, match their definitions, and contain no value", () => {
    const events: Array<OtelEvent.OtelEvent> = []
    return Effect.gen(function* () {
      yield* runEachOperation(events)
      const definitions = Object.values(OtelEvent.events)
      assert.deepStrictEqual(
        [...new Set(events.map(({ action }) => action))].toSorted(),
        definitions.map(({ action }) => action).toSorted()
      )
      for (const event of events) {
        const definition = definitions.find(({ action }) => action === event.action)
        const decoded = Schema.decodeUnknownSync(Schema.Struct({ ...definition?.metadata.fields }))(event.metadata, {
          onExcessProperty: "error"
        })
        assert.deepStrictEqual(Object(decoded), event.metadata)
        assert.deepStrictEqual(
          [event.component, event.level],
          [definition?.component, event.success ? definition?.level : "error"]
        )
        assert.strictEqual(event.success, event.error === undefined)
      }
      assert.notInclude(JSON.stringify(events), value)
    })
  })

  it.effect("report failed operations as errors with a reason", () => {
    const events: Array<OtelEvent.OtelEvent> = []
    return Effect.gen(function* () {
      yield* runEachOperation(events, "timed out")
      const failed = events
        .filter(({ success }) => !success)
        .map(({ action, error, level }) => `${action} ${level}: ${error}`)
      assert.include(failed, "secret.rotated error: rotation hook timed out")
      assert.include(failed, "killswitch.activated error: some steps of the killswitch failed")
      assert.include(failed, "audit.write_failed error: the disk is full")
    })
  })

  it("have dotted lower-case names and camelCase metadata", () => {
    for (const { action, metadata } of Object.values(OtelEvent.events)) {
      assert.match(action, /^[a-z]+\.[a-z_]+$/)
      for (const name of Object.keys(metadata.fields)) assert.match(name, /^[a-z][a-zA-Z]*$/)
    }
  })

  it("are in docs/events.md as they are defined", () => {
    const text = fs.readFileSync(document, "utf8")
    assert.strictEqual(text, renewed(text), "npm run docs")
    for (const { action } of Object.values(OtelEvent.events)) assert.include(text, `| \`${action}\` |`)
  })
})
