/**
 * What each role gets: the one refusal, recorded with its socket, and for workers only what
 * their socket is for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import { DaemonInfo } from "../../../src/daemon/lifecycle/DaemonInfo.ts"
import { Restart } from "../../../src/daemon/lifecycle/Restart.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { callerOf, socketsOf } from "../../../src/domain/ListenSocket.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { makeAdmission } from "../../../src/rpc/server/admission.ts"
import { makeDispatch } from "../../../src/rpc/server/dispatch.ts"
import { addSecret, rotationHook, testLayerNoTelemetry } from "../../support/testLayer.ts"

const config = Result.getOrThrow(
  decodeConfig(
    JSON.stringify({
      directory: "/d",
      socket_mode: "0660",
      socket_group: "g",
      sockets: [
        { path: "/run/ci", role: "lease", secrets: ["ci_*"], client_prefix: "ci/" },
        { path: "/run/agent", role: "use", secrets: ["*"], client_prefix: "agent/" },
        { path: "/run/yes", role: "approve" }
      ]
    }),
    "/home/x"
  )
).config

const callers = new Map(socketsOf(config).map((socket) => [socket.role, callerOf(socket, "/d", false)]))

const info = Layer.succeed(DaemonInfo, {
  pid: 1,
  startedAt: fromMillis(0),
  startedBy: "unknown",
  sockets: [],
  heartbeat: Effect.succeed({ url: "https://example.org" }),
  uncleanStarts: Effect.succeed(undefined)
})
const ran: Array<string> = []
const services = Layer.mergeAll(
  testLayerNoTelemetry,
  info,
  Layer.mock(Restart, {}),
  rotationHook((command) => {
    ran.push(command)
    return { status: "done", outcome: "exit status 0", stdout: Buffer.from("out"), stderr: Buffer.alloc(0) }
  })
)

type Name = "owner" | "operator" | "lease" | "use" | "approve"

/** Sends a line through the socket of a role and returns the reply. */
const sendLine = (role: Name, line: string): Effect.Effect<any, never, any> =>
  Effect.gen(function* () {
    const caller = callers.get(role) ?? assert.fail(`there is a socket of the role ${role}`)
    const dispatch = yield* makeDispatch(yield* makeAdmission)
    return JSON.parse(yield* Effect.provideService(dispatch({ line }, caller, Effect.succeed), CurrentCaller, caller))
  })

const send = (role: Name, method: string, params?: object) =>
  sendLine(role, JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 }))

const entries = AuditLog.use((audit) => audit.tail(1000))
const lastEntry = Effect.map(entries, (all) => all.at(-1))

const refusal = {
  code: -32006,
  message: "access denied: the role of this socket does not permit it",
  data: { tag: "AccessDenied" }
}

const inServices = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.provide(test, services) as Effect.Effect<A, any, never>

describe("an operator", () => {
  it.effect("sets and changes no rotation command, however the line is written, and runs none but the owner's", () =>
    inServices(
      Effect.gen(function* () {
        const via = "cat identity.age"
        yield* addSecret("mine", "value of mine", "renew")
        for (const line of [
          JSON.stringify({ method: "secrets.add", params: { name: "z", value: "z", rotate_via: via } }),
          JSON.stringify({ method: "secrets.add", params: { name: "z", value: "z", ROTATE_VIA: via } }),
          JSON.stringify({ METHOD: "secrets.add", Params: { name: "z", value: "z", Rotate_Stdout: true } }),
          `{"method":"secrets.list","method":"secrets.add","params":{"name":"z","value":"z","rotate_via":"","rotate_via":"${via}"}}`,
          `{"method":"secrets.add","params":{"name":"z","value":"z","rotate_via":"","Rotate_Via":"${via}"}}`,
          JSON.stringify({ method: "secrets.update", params: { name: "mine", value: "z", rotate_via: via } }),
          JSON.stringify({ method: "secrets.update", params: { name: "mine", value: "z", rotate_via_set: true } }),
          JSON.stringify({ method: "secrets.killswitch", params: { rotate_all: true, wipe_store: true }, id: null })
        ]) {
          assert.deepStrictEqual((yield* sendLine("operator", line)).error, refusal, line)
          const entry = yield* lastEntry
          assert.deepStrictEqual(
            [entry?.action, entry?.success, entry?.socket],
            ["request_refused", false, "agent-secrets.sock"]
          )
          assert.match(
            entry?.details ?? "",
            /^secrets\.(add|update|killswitch): the role operator may not set (rotate_|wipe_)/
          )
        }
        for (const line of [
          `[{"method":"secrets.fingerprints"}]`,
          `{"method":"Secrets.Fingerprints"}`,
          `{"method":"secrets.fingerprints "}`
        ]) {
          assert.isDefined((yield* sendLine("operator", line)).error, line)
        }
        ran.length = 0
        assert.strictEqual((yield* send("operator", "secrets.rotate", { secret_name: "mine" })).result.output, "out")
        assert.deepStrictEqual(ran, ["renew"])
        const { result } = yield* send("operator", "secrets.list")
        assert.deepStrictEqual(
          result.secrets.map((one: any) => [one.name, one.rotate_via]),
          [["mine", "renew"]]
        )
      })
    )
  )

  it.effect("does what the callers of the predecessor do, and each entry names the socket", () =>
    inServices(
      Effect.gen(function* () {
        const call = (method: string, params?: object) =>
          Effect.map(send("operator", method, params), ({ result }) => result)
        assert.isTrue((yield* call("secrets.status")).running)
        assert.isTrue((yield* call("secrets.add", { name: "a", value: "1", rotate_via: "" })).success)
        const changed = { name: "a", value: "2", rotate_via: "", rotate_via_set: false, rotate_stdout: false }
        assert.isTrue((yield* call("secrets.update", changed)).success)
        const { lease_id, value } = yield* call("secrets.lease", { secret_name: "a", client_id: "c", ttl: "5m" })
        assert.strictEqual(value, "2")
        assert.strictEqual((yield* call("secrets.list")).secrets[0].active_leases, 1)
        assert.isTrue((yield* call("secrets.revoke", { lease_id })).success)
        assert.strictEqual((yield* call("secrets.revokeAll")).leases_revoked, 0)
        assert.strictEqual((yield* call("secrets.killswitch", { rotate_all: true, wipe_store: false })).success, true)
        assert.isAbove((yield* call("secrets.audit", { tail: 5 })).entries.length, 4)
        assert.isTrue((yield* call("secrets.delete", { name: "a" })).success)
        for (const { action, socket } of yield* entries) assert.strictEqual(socket, "agent-secrets.sock", action)
      })
    )
  )
})

describe("a worker with the role lease", () => {
  it.effect("leases the secrets of its globs under its prefix, and no other, whether it exists or not", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("ci_token")
        yield* addSecret("prod_token")
        const { result } = yield* send("lease", "secrets.lease", { secret_name: "ci_token", client_id: "w1" })
        assert.strictEqual(result.value, "value of ci_token")
        const taken = yield* lastEntry
        assert.deepStrictEqual([taken?.client_id, taken?.socket], ["ci/w1", "/run/ci"])
        const refusals = yield* Effect.forEach(["prod_token", "missing", ""], (secret_name) =>
          send("lease", "secrets.lease", { secret_name, client_id: "w1" })
        )
        assert.deepStrictEqual([refusals[0]?.error, refusals[1]?.error], [refusal, refusal])
        const entry = (yield* entries).findLast(({ secret_name }) => secret_name === "missing")
        assert.deepStrictEqual(
          [entry?.action, entry?.success, entry?.details, entry?.socket],
          ["lease_acquire", false, "this socket is not for that secret", "/run/ci"]
        )
        assert.strictEqual(
          (yield* send("lease", "secrets.lease", { secret_name: "ci_gone", client_id: "w1" })).error.data.tag,
          "SecretNotFound"
        )
      })
    )
  )

  it.effect("sees and ends only its own leases, and counts nothing else", () =>
    inServices(
      Effect.gen(function* () {
        for (const name of ["ci_a", "ci_b", "prod"]) yield* addSecret(name, `value of ${name}`, "renew --token hush")
        const lease = (role: Name, secret_name: string, client_id: string) =>
          Effect.map(send(role, "secrets.lease", { secret_name, client_id }), ({ result }) => result.lease_id)
        const mine = yield* lease("lease", "ci_a", "w")
        const others = [
          yield* lease("owner", "ci_a", "w"),
          yield* lease("owner", "prod", "ci/w"),
          yield* lease("operator", "ci_b", "x")
        ]
        const seen = yield* send("lease", "secrets.leases", { top: 10 })
        assert.deepStrictEqual(
          seen.result.leases.map((one: any) => one.lease_id),
          [mine]
        )
        assert.deepStrictEqual(
          [seen.result.total, seen.result.by_client, seen.result.by_secret],
          [1, [{ client_id: "ci/w", count: 1 }], [{ secret_name: "ci_a", count: 1 }]]
        )
        for (const client_id of ["w", "ci/w"]) {
          assert.strictEqual((yield* send("lease", "secrets.leases", { client_id })).result.total, 1)
        }
        const listed = (yield* send("lease", "secrets.list")).result.secrets
        assert.deepStrictEqual(
          listed.map((one: any) => [one.name, one.active_leases, one.rotate_via]),
          [
            ["ci_a", 1, undefined],
            ["ci_b", 0, undefined]
          ]
        )
        const { result: status } = yield* send("lease", "secrets.status")
        assert.deepStrictEqual([status.secrets_count, status.active_leases, status.heartbeat], [2, 1, undefined])
        const { result: diagnostics } = yield* send("lease", "daemon.status")
        assert.deepStrictEqual(
          [diagnostics.role, diagnostics.audit, diagnostics.sinks],
          ["lease", undefined, undefined]
        )
        for (const lease_id of others) {
          const { error } = yield* send("lease", "secrets.revoke", { lease_id })
          const { error: unknown } = yield* send("lease", "secrets.revoke", { lease_id: "none" })
          assert.deepStrictEqual(error, unknown)
        }
        const matching = yield* send("lease", "secrets.revokeMatching", { secret_name: "ci_a" })
        assert.strictEqual(matching.result.leases_revoked, 1)
        assert.strictEqual((yield* send("owner", "secrets.leases")).result.total, 3)
        assert.strictEqual((yield* send("lease", "secrets.revoke", { lease_id: mine })).result.success, true)
      })
    )
  )

  it.effect("is shown a secret of its globs without its rotation command, and no other, whether it exists or not", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("ci_a", "made-up value", "renew --token hush")
        yield* addSecret("prod")
        yield* send("owner", "secrets.lease", { secret_name: "ci_a", client_id: "elsewhere" })
        const { result } = yield* send("lease", "secrets.show", { name: "ci_a" })
        assert.deepInclude(result, { name: "ci_a", kind: "text", length: 13, active_leases: 0, leases: [] })
        assert.match(result.fingerprint, /^[0-9a-f]{12}$/)
        assert.deepStrictEqual([result.rotate_via, result.last_lease], [undefined, undefined])
        assert.notInclude(JSON.stringify(result), "made-up")
        for (const name of ["prod", "missing"]) {
          assert.deepStrictEqual((yield* send("lease", "secrets.show", { name })).error, refusal)
          assert.include(yield* lastEntry, {
            action: "request_refused",
            secret_name: name,
            details: "secrets.show: this socket is not for that secret",
            socket: "/run/ci"
          })
        }
        assert.strictEqual((yield* send("lease", "secrets.show", { name: "ci_gone" })).error.data.tag, "SecretNotFound")
        const { result: shown } = yield* send("use", "secrets.show", { name: "ci_a" })
        assert.deepStrictEqual([shown.kind, shown.length, shown.fingerprint], ["text", undefined, undefined])
      })
    )
  )

  it.effect("gets nothing else, and never learns why", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("ci_a")
        for (const method of [
          "secrets.add",
          "secrets.update",
          "secrets.delete",
          "secrets.rotate",
          "secrets.get",
          "secrets.health",
          "secrets.audit",
          "secrets.revokeAll",
          "secrets.killswitch",
          "secrets.fingerprints",
          "secrets.identify",
          "secrets.backup",
          "secrets.restore",
          "daemon.metrics",
          "daemon.restart",
          "secrets.init"
        ]) {
          const { error } = yield* send("lease", method, { name: "ci_a", secret_name: "ci_a", value: "x" })
          assert.deepStrictEqual(error, refusal, method)
          assert.include(yield* lastEntry, { details: `${method}: the role lease may not call it`, socket: "/run/ci" })
        }
      })
    )
  )
})

describe("an agent with the role use", () => {
  it.effect("gets no bare value", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("a")
        assert.deepStrictEqual(
          (yield* send("use", "secrets.lease", { secret_name: "a", client_id: "x" })).error,
          refusal
        )
        assert.strictEqual((yield* lastEntry)?.details, "the role use may not lease a bare value")
        assert.deepStrictEqual(
          (yield* send("use", "secrets.list")).result.secrets.map((one: any) => one.name),
          ["a"]
        )
      })
    )
  )
})

describe("an update", () => {
  it.effect("without a value is rejected as by the predecessor, unless it says that the value stays", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("a", "old")
        const update = (params: object) => send("owner", "secrets.update", { name: "a", ...params })
        const { error } = yield* update({ rotate_via: "x", rotate_via_set: true })
        assert.strictEqual(error.message, "secret value is required")
        const kept = yield* update({ keep_value: true, description: "what it is", description_set: true })
        assert.isTrue(kept.result.success)
        const { result } = yield* send("owner", "secrets.show", { name: "a" })
        assert.deepInclude(result, { description: "what it is", length: 3 })
        assert.isTrue((yield* update({ value: "new" })).result.success)
        assert.strictEqual((yield* send("owner", "secrets.list")).result.secrets[0].description, "what it is")
        const { error: tooLong } = yield* update({
          keep_value: true,
          description: "x".repeat(1025),
          description_set: true
        })
        assert.strictEqual(tooLong.data.tag, "TooLong")
      })
    )
  )

  it.effect("names the clients that still have the old value", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("a", "old")
        for (const client_id of ["c1", "c2"]) yield* send("owner", "secrets.lease", { secret_name: "a", client_id })
        const plain = yield* send("owner", "secrets.update", { name: "a", value: "new" })
        assert.deepStrictEqual(Object.keys(plain.result), ["success", "message"])
        const params = { name: "a", value: "newer", report_holders: true }
        const { result } = yield* send("owner", "secrets.update", params)
        assert.deepInclude(result, { leases_of_old_value: 2, clients_of_old_value: ["c1", "c2"] })
      })
    )
  )
})

describe("a list", () => {
  it.effect("has the last lease of each secret if it is asked for, and for a worker its own alone", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("ci_a")
        yield* send("owner", "secrets.lease", { secret_name: "ci_a", client_id: "x" })
        const last = (role: Name, params?: object) =>
          Effect.map(send(role, "secrets.list", params), ({ result }) => [
            typeof result.secrets[0].last_leased_at,
            result.searched_all
          ])
        assert.deepStrictEqual(yield* last("owner"), ["undefined", undefined])
        assert.deepStrictEqual(yield* last("owner", { last_leases: true }), ["string", true])
        // Others may have leased it, so nobody may conclude that it was never used.
        assert.deepStrictEqual(yield* last("lease", { last_leases: true }), ["undefined", false])
        yield* send("lease", "secrets.lease", { secret_name: "ci_a", client_id: "w" })
        assert.deepStrictEqual(yield* last("lease", { last_leases: true }), ["string", false])
      })
    )
  )
})

describe("the role approve", () => {
  it.effect("sees that the daemon runs, and nothing that it holds", () =>
    inServices(
      Effect.gen(function* () {
        yield* addSecret("a")
        const { result } = yield* send("approve", "secrets.status")
        assert.deepStrictEqual([result.running, result.secrets_count, result.active_leases], [true, 0, 0])
        assert.deepStrictEqual((yield* send("approve", "secrets.list")).error, refusal)
        assert.deepStrictEqual(
          (yield* send("approve", "secrets.lease", { secret_name: "a", client_id: "x" })).error,
          refusal
        )
      })
    )
  )
})
