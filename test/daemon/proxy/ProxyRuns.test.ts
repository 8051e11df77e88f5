/**
 * The runs of the proxy, with workers that are no processes: the entries come first, every end
 * reaches the worker before its reply, and a worker that dies or hangs takes nothing with it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { DaemonInfo } from "../../../src/daemon/lifecycle/DaemonInfo.ts"
import { deleteSecret } from "../../../src/daemon/operations/deleteSecret.ts"
import { killswitch } from "../../../src/daemon/operations/killswitch.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import { CurrentPolicy, replaceablePolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { CurrentRoutes, replaceableRoutes } from "../../../src/daemon/operations/CurrentRoutes.ts"
import { revokeAllLeases, revokeLease, revokeMatchingLeases } from "../../../src/daemon/operations/revoke.ts"
import { Proxy } from "../../../src/daemon/proxy/Proxy.ts"
import { CurrentLaunch } from "../../../src/daemon/proxy/WorkerProcess.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { minute, second } from "../../../src/domain/GoDuration.ts"
import { noTotals } from "../../../src/domain/proxyMessages.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { leaseHandlers } from "../../../src/rpc/server/handlers/leases.ts"
import { proxyHandlers } from "../../../src/rpc/server/handlers/proxy.ts"
import { runHandlers } from "../../../src/rpc/server/handlers/runs.ts"
import { ConnectionState } from "../../../src/rpc/transport/Connections.ts"
import { stubWorkers, type WorkerFate } from "../../support/proxyWorkers.ts"
import {
  acquireLease,
  activeCount,
  addSecret,
  testLayerNoTelemetry,
  testLayerWithAudit
} from "../../support/testLayer.ts"

const config = decodeConfig(
  JSON.stringify({
    proxy: {
      routes: {
        github: { secret: "github_token", preset: "github" },
        git: { secret: "github_token", preset: "git", paths: ["/me/**"] },
        openai: { secret: "openai_key", preset: "openai" },
        stripe: { secret: "stripe_key", preset: "stripe", intercept: true, clients: ["billing/*"] }
      }
    }
  }),
  "/home/me"
)
const routes = Result.isSuccess(config) ? config.success.config.proxyRoutes : []

const info = DaemonInfo.of({
  pid: 1,
  startedAt: { millis: 0, text: "" },
  startedBy: "hand",
  sockets: [],
  heartbeat: Effect.succeed(undefined),
  uncleanStarts: Effect.succeed(undefined)
})

const setup = (services = testLayerNoTelemetry, fates: Array<WorkerFate> = []) => {
  const { launch, workers } = stubWorkers(undefined, fates)
  const layer = services.pipe(
    Layer.provideMerge(Layer.succeed(DaemonInfo, info)),
    Layer.provideMerge(Layer.succeed(CurrentRoutes, replaceableRoutes(routes))),
    Layer.provideMerge(Layer.succeed(CurrentLaunch, launch))
  )
  return { layer, workers }
}

/** A connection that can be closed. */
const connect = Effect.map(Effect.all([Deferred.make<void>(), ConnectionState]), ([closed, state]) => ({
  state: { ...state, closed: Deferred.await(closed) },
  close: Deferred.succeed(closed, undefined)
}))

const hashOf = (name: string) => Buffer.from(name.padEnd(32, "x")).toString("hex").slice(0, 64)

/** Opens a run as `secrets exec --proxy` does. */
const open = Effect.fnUntraced(function* (clientId: string, names: ReadonlyArray<string>, more: object = {}) {
  const connection = yield* connect
  const asked = names.map((name) => ({ name, token_hash: hashOf(`${clientId}${name}`) }))
  const params = { client_id: clientId, routes: JSON.stringify(asked), program: "/usr/bin/agent", ...more }
  const reply = yield* Effect.provideService(proxyHandlers["proxy.open"](params), ConnectionState, connection.state)
  return { ...reply, ...connection }
})

const threeSecrets = Effect.forEach(["github_token", "openai_key", "stripe_key"], (name) => addSecret(name), {
  discard: true
})
const entries = Effect.map(
  AuditLog.use((audit) => audit.tail(1000)),
  (all) => all.filter(({ action }) => !action.startsWith("secret_"))
)
const actions = Effect.map(entries, (all) => all.map(({ action }) => action))
const detailsOf = (action: string) =>
  Effect.map(entries, (all) => all.flatMap((entry) => (entry.action === action ? [entry.details ?? ""] : [])))
const status = (filter: object = {}) => proxyHandlers["proxy.status"](filter)
/** Lets what was forked run. */
const settle = Effect.repeat(Effect.yieldNow, { times: 50 })
const test = <A, E>(
  name: string,
  body: (workers: ReturnType<typeof setup>["workers"]) => Effect.Effect<A, E, Services>
) =>
  it.effect(name, () => {
    const { layer, workers } = setup()
    return Effect.andThen(threeSecrets, body(workers)).pipe(Effect.provide(layer))
  })
type Services = Layer.Success<ReturnType<typeof setup>["layer"]>

describe("a run of the proxy", () => {
  test("has its entries before the worker has its values, and the caller gets none", (workers) =>
    Effect.gen(function* () {
      const reply = yield* open("laptop/agent[1]", ["github", "git", "openai"])
      assert.deepStrictEqual(yield* actions, ["lease_acquire", "lease_acquire", "run_begin", "proxy_open"])
      assert.deepStrictEqual(yield* detailsOf("proxy_open"), ["routes: github, git, openai"])
      const leases = (yield* entries).filter(({ action }) => action === "lease_acquire")
      assert.deepStrictEqual(
        leases.map(({ details, program, secret_name, via }) => [secret_name, via, program, details]),
        [
          ["github_token", "proxy", "agent", "TTL: 24h0m0s"],
          ["openai_key", "proxy", "agent", "TTL: 24h0m0s"]
        ]
      )
      const [opened] = (workers[0]?.told ?? []).flatMap((message) => (message.type === "open" ? [message] : []))
      assert.deepStrictEqual(
        opened?.routes.map(({ name, tokenHash, value }) => [name, value, tokenHash]),
        ["github", "git", "openai"].map((name) => [
          name,
          name === "openai" ? "value of openai_key" : "value of github_token",
          hashOf(`laptop/agent[1]${name}`)
        ])
      )
      assert.notInclude(JSON.stringify(reply), "value of")
      assert.deepInclude(reply.routes[1], {
        name: "git",
        upstream: "https://github.com",
        inject: { kind: "basic", user: "x-access-token" },
        preset: "git"
      })
    }))

  const ends: ReadonlyArray<
    [string, string, (run: Effect.Success<ReturnType<typeof open>>) => Effect.Effect<unknown, unknown, Services>]
  > = [
    [
      "a revoke of one of its leases",
      "revoked",
      () => revokeMatchingLeases({ clientId: undefined, secretName: "openai_key" })
    ],
    [
      "a revoke of its client",
      "revoked",
      () => revokeMatchingLeases({ clientId: "laptop/agent[1]", secretName: undefined })
    ],
    ["a revoke of everything", "killswitch", () => revokeAllLeases()],
    [
      "the killswitch",
      "killswitch",
      () =>
        killswitch({ revokeAll: true, rotateAll: false, wipeStore: false }) as Effect.Effect<unknown, unknown, Services>
    ],
    ["a lock", "locked", () => lockStore()],
    ["a delete of one of its secrets", "deleted", () => deleteSecret("github_token")],
    ["the end of its connection", "connection closed", (run) => Effect.andThen(run.close, settle)],
    ["its own end", "status 3", (run) => runHandlers["runs.end"]({ run_id: run.run_id, status: 3 })]
  ]
  for (const [name, why, end] of ends) {
    test(`is cut by ${name}, before the reply`, (workers) =>
      Effect.gen(function* () {
        const run = yield* open("laptop/agent[1]", ["github", "openai"])
        yield* end(run)
        assert.deepInclude(workers[0]?.told ?? [], { type: "close", run: run.run_id, why })
        yield* settle
        assert.deepStrictEqual(yield* detailsOf("proxy_close"), [`${why}; github: never used; openai: never used`])
        assert.strictEqual(yield* activeCount, 0)
        assert.deepStrictEqual((yield* status()).runs, [])
      }))
  }

  test("lasts until the first of its leases expires, and not a moment longer", (workers) =>
    Effect.gen(function* () {
      const run = yield* open("laptop/agent[1]", ["github", "openai"], { ttl: "10m" })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual((yield* status()).total, 1)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(workers[0]?.told ?? [], { type: "close", run: run.run_id, why: "expired" })
    }))

  test("goes on with a value that is changed", (workers) =>
    Effect.gen(function* () {
      yield* open("laptop/agent[1]", ["github"])
      yield* SecretStore.use((store) => store.update("github_token", { value: Redacted.make("another") }))
      assert.deepInclude(workers[0]?.told ?? [], { type: "value", secret: "github_token", value: "another" })
      assert.strictEqual((yield* status()).total, 1)
    }))

  test("is not opened for an unknown route, another client, or twice the same", () =>
    Effect.gen(function* () {
      const failure = (given: ReturnType<typeof open>) => Effect.map(Effect.flip(given), ({ message }) => message)
      assert.strictEqual(
        yield* failure(open("laptop/agent[1]", ["gitlab"])),
        'the proxy has no route "gitlab" for this client; did you mean "github"?'
      )
      assert.strictEqual(
        yield* failure(open("laptop/agent[1]", ["stripe"])),
        'the proxy has no route "stripe" for this client'
      )
      // That one is not for this client either.
      assert.notInclude(yield* failure(open("laptop/agent[1]", ["stripes"])), "did you mean")
      assert.include(yield* failure(open("laptop/agent[1]", ["github", "github"])), "a route is named twice")
      assert.include(yield* failure(open("laptop/agent[1]", [])), "routes is not a list")
      assert.deepStrictEqual(yield* actions, [])
      assert.strictEqual((yield* open("billing/app[1]", ["stripe"])).routes[0]?.intercept, true)
    }))

  test("needs a policy that permits the way proxy, and the program", () =>
    Effect.gen(function* () {
      const rule = { clients: undefined, maxTtl: 5n * minute, approval: undefined, reason: false, commands: undefined }
      const policy = replaceablePolicy([
        { ...rule, secrets: ["github_token"], via: ["exec"] },
        { ...rule, secrets: ["openai_key"], via: ["proxy"], commands: ["agent"] },
        { ...rule, secrets: ["stripe_key"], via: ["proxy"], commands: ["other"] }
      ])
      const tryOpen = (client: string, name: string) =>
        Effect.match(Effect.provideService(open(client, [name]), CurrentPolicy, policy), {
          onSuccess: ({ expires_at }) => expires_at.slice(11, 19),
          onFailure: ({ message }) => message
        })
      assert.include(yield* tryOpen("a", "github"), "may not be used by proxy, only used by exec")
      assert.include(yield* tryOpen("billing/a", "stripe"), 'may not be given to "agent"')
      assert.include(yield* tryOpen("a", "openai"), ":05:00")
      assert.strictEqual(yield* activeCount, 1)
    }))

  it.effect("is not opened where its entry cannot be written; open ones go on, and theirs is written later", () => {
    const broken = { now: false }
    const { layer, workers } = setup(testLayerWithAudit(broken))
    return Effect.gen(function* () {
      yield* threeSecrets
      const run = yield* open("laptop/agent[1]", ["github"])
      broken.now = true
      const refused = yield* Effect.flip(open("laptop/agent[2]", ["github"]))
      assert.include(refused.message, "the audit log is not writable")
      const [worker] = workers
      worker?.say({ type: "used", id: 7, run: run.run_id, route: "github" })
      yield* settle
      assert.deepInclude(worker?.told ?? [], { type: "recorded", id: 7 })
      assert.lengthOf(
        (worker?.told ?? []).filter(({ type }) => type === "open"),
        1
      )
      assert.deepStrictEqual(yield* detailsOf("proxy_use"), [])
      broken.now = false
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* detailsOf("proxy_use"), ["github: the first request"])
      assert.strictEqual((yield* status()).total, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("what the worker reports", () => {
  test("is on the disk before the worker goes on", (workers) =>
    Effect.gen(function* () {
      const { run_id: run } = yield* open("laptop/agent[1]", ["github", "openai"])
      const [worker] = workers
      const refusal = {
        type: "refused",
        run,
        route: "github",
        code: "path",
        method: "GET",
        path: "/admin",
        count: 3
      } as const
      worker?.say({ type: "used", id: 1, run, route: "openai" })
      worker?.say({ ...refusal, id: 2 })
      worker?.say({ ...refusal, id: 3, run: undefined, route: undefined, code: "no_token" })
      worker?.say({ type: "notable", id: 4, run, route: "openai", what: "masked" })
      worker?.say({ ...refusal, id: 5, path: "/x/asp_abcdefghijkl/value%20of%20github_token?q=asp_1", method: "G\nT" })
      yield* settle
      assert.deepStrictEqual(yield* detailsOf("proxy_refuse"), [
        "github: path, GET /admin, 3 requests",
        "no_token, GET /admin, 3 requests",
        "github: path, (other method) /x/…/…, 3 requests"
      ])
      assert.deepStrictEqual(yield* detailsOf("proxy_use"), [
        "openai: the first request",
        "openai: the upstream echoed the value, which was masked"
      ])
      const recorded = (worker?.told ?? []).flatMap((message) => (message.type === "recorded" ? [message.id] : []))
      assert.deepStrictEqual(recorded, [1, 2, 3, 4, 5])
      const [, first] = (yield* entries).filter(({ action }) => action.startsWith("proxy_"))
      assert.deepInclude(first, { run_id: run, secret_name: "openai_key", client_id: "laptop/agent[1]" })
    }))

  test("is counted in its run, and recorded every five minutes and at the end", (workers) =>
    Effect.gen(function* () {
      const run = yield* open("laptop/agent[1]", ["github"])
      const [worker] = workers
      const totals = (requests: number) => [
        {
          ...noTotals("github"),
          requests,
          statuses: { "2xx": requests },
          bytesOut: 10 * requests,
          firstUsed: 0,
          lastUsed: 0
        }
      ]
      worker?.say({ type: "totals", run: run.run_id, totals: totals(2) })
      worker?.totals.set(run.run_id, totals(3))
      assert.deepInclude((yield* status()).runs[0]?.routes[0], { requests: 3, statuses: { "2xx": 3 } })
      yield* TestClock.adjust("299 seconds")
      assert.lengthOf(yield* detailsOf("proxy_use"), 0)
      yield* TestClock.adjust("2 seconds")
      const [first = ""] = yield* detailsOf("proxy_use")
      assert.include(first, "github: 3 requests, 0 refused, 2xx 3, 0 bytes in, 30 out, 0 masked, first ")
      yield* TestClock.adjust("600 seconds")
      assert.lengthOf(yield* detailsOf("proxy_use"), 1)
      worker?.totals.set(run.run_id, totals(4))
      yield* runHandlers["runs.end"]({ run_id: run.run_id, status: 0 })
      assert.lengthOf(yield* detailsOf("proxy_use"), 2)
      assert.include((yield* detailsOf("proxy_close"))[0] ?? "", "status 0; github: 4 requests")
    }))
})

describe("the worker", () => {
  test("starts with the first run and ends a minute after the last", (workers) =>
    Effect.gen(function* () {
      assert.isUndefined((yield* status()).worker)
      const first = yield* open("a", ["github"])
      const second = yield* open("b", ["github"])
      assert.lengthOf(workers, 1)
      yield* runHandlers["runs.end"]({ run_id: first.run_id, status: 0 })
      yield* TestClock.adjust("2 minutes")
      yield* runHandlers["runs.end"]({ run_id: second.run_id, status: 0 })
      yield* TestClock.adjust("59 seconds")
      const third = yield* open("c", ["github"])
      yield* TestClock.adjust("1 minute")
      yield* runHandlers["runs.end"]({ run_id: third.run_id, status: 0 })
      yield* TestClock.adjust("59999 millis")
      assert.isFalse(workers[0]?.isKilled)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(workers[0]?.isKilled)
      assert.isUndefined((yield* status()).worker)
      yield* open("d", ["github"])
      assert.lengthOf(workers, 2)
    }))

  test("that does not confirm an end within 50 ms is killed, and another one has the other runs", (workers) =>
    Effect.gen(function* () {
      const hanging = yield* open("a", ["github"])
      const other = yield* open("b", ["openai"])
      const [worker] = workers
      if (worker !== undefined) worker.confirms = false
      worker?.say({ type: "used", id: 1, run: hanging.run_id, route: "github" })
      worker?.say({ type: "totals", run: other.run_id, totals: [{ ...noTotals("openai"), requests: 5 }] })
      yield* revokeMatchingLeases({ clientId: "a", secretName: undefined })
      yield* TestClock.adjust("49 millis")
      assert.isFalse(worker?.isKilled)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(worker?.isKilled)
      yield* settle
      const opened = (workers[1]?.told ?? []).flatMap((message) => (message.type === "open" ? [message] : []))
      assert.deepStrictEqual(
        opened.map(({ routes: given, run }) => [run, given[0]?.value]),
        [[other.run_id, "value of openai_key"]]
      )
      assert.include((yield* detailsOf("proxy_close"))[0], "revoked; github: 1 request, ")
      workers[1]?.totals.set(other.run_id, [{ ...noTotals("openai"), requests: 2 }])
      assert.deepInclude((yield* status()).runs[0]?.routes[0], { requests: 7 })
    }))

  test("that dies is started again for its runs; those with a CA of it are over", (workers) =>
    Effect.gen(function* () {
      const plain = yield* open("a", ["github"])
      const intercepting = yield* open("billing/b", ["stripe"])
      workers[0]?.die("SIGKILL")
      yield* settle
      yield* settle
      const told = (workers[1]?.told ?? []).flatMap((message) => (message.type === "open" ? [message.run] : []))
      assert.deepStrictEqual(told, [plain.run_id])
      assert.deepStrictEqual(yield* detailsOf("proxy_close"), ["the worker ended: SIGKILL; stripe: never used"])
      const left = (yield* status()).runs.map(({ run_id }) => run_id)
      assert.deepStrictEqual(left, [plain.run_id])
      // Then its program opens it again, with another CA.
      const watched = yield* Effect.flip(runHandlers["runs.watch"]({ run_id: intercepting.run_id, after: 0 }))
      assert.strictEqual(watched._tag, "RunNotFound")
    }))

  it.effect("that dies before it is ready opens no run and leaves no lease; the next one does", () => {
    const { layer, workers } = setup(testLayerNoTelemetry, ["before it is ready"])
    return Effect.gen(function* () {
      yield* threeSecrets
      const refused = yield* Effect.flip(open("a", ["github"]))
      assert.strictEqual(refused.message, "the proxy is not available: its worker ended (exit status 1)")
      assert.strictEqual(yield* activeCount, 0)
      yield* open("a", ["github"])
      assert.lengthOf(workers, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that dies while it opens a run has a successor that opens it", () => {
    const { layer, workers } = setup(testLayerNoTelemetry, ["at an open"])
    return Effect.gen(function* () {
      yield* threeSecrets
      const run = yield* open("a", ["github"])
      assert.deepStrictEqual(
        workers.map(({ told }) => told.filter(({ type }) => type === "open").length),
        [1, 1]
      )
      assert.strictEqual((yield* status()).runs[0]?.run_id, run.run_id)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that dies while it closes a run has confirmed that, and keeps the others", () => {
    const { layer, workers } = setup(testLayerNoTelemetry, ["at a close"])
    return Effect.gen(function* () {
      yield* threeSecrets
      const run = yield* open("a", ["github"])
      const other = yield* open("b", ["openai"])
      yield* runHandlers["runs.end"]({ run_id: run.run_id, status: 0 })
      yield* settle
      assert.deepStrictEqual(yield* detailsOf("proxy_close"), ["status 0; github: never used"])
      assert.deepStrictEqual(
        (yield* status()).runs.map(({ run_id }) => run_id),
        [other.run_id]
      )
      assert.lengthOf(workers, 2)
    }).pipe(Effect.provide(layer))
  })

  test("is gone at once after a lock and the killswitch, with the values that it had", (workers) =>
    Effect.gen(function* () {
      yield* open("a", ["github"])
      yield* lockStore()
      yield* settle
      assert.isTrue(workers[0]?.isKilled)
    }))
})

describe("a secret for the proxy only", () => {
  const onlyProxy = SecretStore.use((store) => store.update("github_token", { proxyOnly: true }))

  test("is given to nothing else, in the words of its route", () =>
    Effect.gen(function* () {
      yield* onlyProxy
      const lease = (more: object) =>
        Effect.flip(leaseHandlers["secrets.lease"]({ secret_name: "github_token", client_id: "a", ...more }))
      for (const via of ["", "exec", "env", "mcp", "helper:git"]) {
        assert.strictEqual(
          (yield* lease({ via })).message,
          "github_token is for the proxy only; secrets exec --proxy github -- …"
        )
      }
      assert.include((yield* lease({ via: "proxy" })).message, "via is not proxy")
      const { run_id } = yield* open("a", ["github"])
      assert.isString(run_id)
      assert.strictEqual(yield* activeCount, 1)
    }))

  test("stays so, whatever changes it", () =>
    Effect.gen(function* () {
      yield* onlyProxy
      const store = yield* SecretStore
      yield* store.update("github_token", { value: Redacted.make("new"), description: "x", rotateVia: "true" })
      yield* store.addMany(
        [{ name: "github_token", value: Redacted.make("newer"), rotateVia: "", rotateStdout: false }],
        true
      )
      assert.strictEqual((yield* Effect.flip(acquireLease("github_token", "a")))._tag, "ProxyOnly")
      yield* store.remove("github_token")
      yield* addSecret("github_token")
      yield* acquireLease("github_token", "a", 10n * second)
    }))
})

it.effect("nothing is loaded where nobody asks", () => {
  const { layer, workers } = setup(testLayerNoTelemetry)
  return Effect.gen(function* () {
    assert.isUndefined((yield* Proxy).loaded())
    yield* addSecret("db")
    yield* acquireLease("db", "a")
    const [lease] = yield* AuditLog.use((audit) => audit.tail(1))
    yield* revokeLease(lease?.lease_id ?? "")
    assert.isUndefined((yield* Proxy).loaded())
    assert.lengthOf(workers, 0)
  }).pipe(Effect.provide(layer), Effect.provide(OtelSink.layerMemory()))
})
