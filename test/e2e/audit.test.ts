/**
 * The audit log of the built program: it records every change and every refusal, and
 * `secrets audit --verify` detects changes to it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, connect, rpc, startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** Requests, each with its audit entries as `action success: details`. */
const asked: ReadonlyArray<readonly [method: string, params: object, recorded: ReadonlyArray<string>]> = [
  ["secrets.init", {}, ["store_init true: there is a store already; nothing was changed"]],
  ["secrets.add", { name: "db", value: "first" }, ["secret_add true: db"]],
  ["secrets.add", { name: "db", value: "again" }, ["secret_add false: db secret already exists"]],
  ["secrets.update", { name: "db", value: "second" }, ["secret_update true: db"]],
  ["secrets.update", { name: "none", value: "x" }, ["secret_update false: none secret not found"]],
  ["secrets.get", { name: "db" }, ["secret_get false: db direct secret access not allowed"]],
  ["secrets.get", {}, ["secret_get false: direct secret access not allowed"]],
  ["secrets.lease", { secret_name: "none", client_id: "c" }, ["lease_acquire false: none c secret not found"]],
  [
    "secrets.lease",
    { secret_name: "db", client_id: "c", ttl: "25h" },
    ["lease_acquire false: db c TTL 25h0m0s exceeds max 24h0m0s"]
  ],
  ["secrets.lease", { secret_name: "db" }, ["request_refused false: secrets.lease: client_id is required"]],
  [
    "secrets.lease",
    { secret_name: "db", client_id: "c", ttl: "soon" },
    ["request_refused false: secrets.lease: invalid ttl duration: time: invalid duration"]
  ],
  ["secrets.lease", { secret_name: "db", client_id: "c" }, ["lease_acquire true: db c TTL: 1h0m0s"]],
  ["secrets.revoke", { lease_id: "none" }, ["lease_revoke false: lease not found"]],
  ["secrets.rotate", { secret_name: "none" }, ["secret_rotate false: none secret not found"]],
  ["secrets.rotate", { secret_name: "db" }, ["secret_rotate false: db no rotation hook configured"]],
  [
    "secrets.delete",
    { name: "none" },
    ["secret_delete false: none secret not found", "lease_revoke true: none revoked 0 leases"]
  ],
  ["secrets.delete", { name: "db" }, ["secret_delete true: db", "lease_revoke true: db revoked 1 leases"]],
  ["secrets.dump", { name: "db" }, ["request_refused false: secrets.dump: there is no such method"]],
  ["a value, perhaps", {}, ["request_refused false: (no method): there is no such method"]]
]

const recorded = (directory: string) =>
  auditOf(directory).map(({ action, client_id, details, secret_name, success }) =>
    [`${action} ${success}:`, secret_name, client_id, details].filter((part) => part !== undefined).join(" ")
  )

describe("the audit log", () => {
  it.live("records every change and every refusal, in the order of the requests", () =>
    Effect.gen(function* () {
      const { directory, socket, stop } = yield* startDaemon({ home: yield* temporaryDirectory })
      const before = recorded(directory)
      assert.deepStrictEqual(
        before.map((entry) => entry.split(":")[0]),
        ["store_init true", "daemon_start true"]
      )
      const connection = yield* connect(socket)
      for (const [method, params] of asked) {
        yield* Effect.promise(() => connection.ask(JSON.stringify({ method, params, id: 1 })))
      }
      assert.deepStrictEqual(
        recorded(directory).slice(before.length),
        asked.flatMap(([, , entries]) => entries)
      )
      yield* stop()
      assert.strictEqual(recorded(directory).at(-1), "daemon_stop true: daemon stopped gracefully")
    })
  )

  it.live("is verified with and without a daemon, as text and as JSON", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const verify = (...flags: ReadonlyArray<string>) => run(["audit", "--verify", ...flags], { home })
      assert.include((yield* verify()).stderr, "there is no audit log at")
      const daemon = yield* startDaemon({ home })
      yield* rpc(daemon.socket, "add", { name: "db", value: "made up" })
      for (let n = 0; n < 5; n += 1) yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })
      const whole = yield* verify()
      assert.deepStrictEqual([whole.status, whole.stderr], [0, ""])
      assert.match(
        whole.stdout,
        /^\d+ chained entries in audit\.log\nentries 1 to \d+; the last hash is \w{64}\nthe log is intact\n$/
      )
      yield* daemon.stop("SIGKILL")

      const file = path.join(daemon.directory, "audit.log")
      const text = fs.readFileSync(file, "utf8")
      const lines = text.split(/(?<=\n)/)
      const damaged: ReadonlyArray<readonly [kind: string, contents: string]> = [
        ["edited", text.replace('"client_id":"c"', '"client_id":"d"')],
        ["gap", lines.toSpliced(4, 1).join("")],
        ["truncated", lines.slice(0, -2).join("")],
        ["torn", `${text}{"timestamp":"2026`]
      ]
      for (const [kind, contents] of damaged) {
        fs.writeFileSync(file, contents)
        const { status, stderr, stdout } = yield* verify()
        assert.deepStrictEqual([status, stdout.includes(kind.toUpperCase())], [1, true], kind)
        assert.include(stderr, `the audit log is damaged: ${kind}`)
        const asJson = JSON.parse((yield* verify("--json")).stdout)
        assert.deepStrictEqual([asJson.ok, asJson.result.findings.map((one: any) => one.kind)], [false, [kind]])
        assert.strictEqual(typeof asJson.error.message, "string")
      }
      fs.writeFileSync(file, text)
      assert.strictEqual(JSON.parse((yield* verify("--json")).stdout).result.verified, true)
    })
  )

  it.live("reports at the next start, in the log, in status and in health, what was changed while no daemon ran", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      yield* rpc(daemon.socket, "add", { name: "db", value: "made up" })
      for (const client of ["a", "b", "c"]) yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: client })
      yield* daemon.stop()
      const file = path.join(daemon.directory, "audit.log")
      const lines = fs.readFileSync(file, "utf8").split(/(?<=\n)/)
      const forged = '{"timestamp":"2026-02-22T00:00:00Z","action":"lease_revoke","lease_id":"x","success":true}\n'
      fs.writeFileSync(
        file,
        [lines[0], (lines[1] ?? "").replace('"success":true', '"success":false'), ...lines.slice(2), forged].join("")
      )
      fs.writeFileSync(path.join(daemon.directory, "leases.json"), "null")
      assert.strictEqual((yield* run(["audit", "--verify"], { home })).status, 1)

      const next = yield* startDaemon({ home })
      const added = `1 line after entry ${lines.length} is not of the daemon`
      const edited = "entry 2 is not as written"
      const status = run(["status", "--json"], { home })
      const findings = Effect.map(status, ({ stdout }) => JSON.parse(stdout).result.audit.findings)
      // The rest of the log is verified in the background.
      yield* Effect.repeat(findings, { until: ({ length }) => length === 2, schedule: Schedule.spaced("10 millis") })
      assert.deepStrictEqual(yield* findings, [added, edited])
      assert.strictEqual((yield* rpc(next.socket, "status")).result.active_leases, 3)
      for (const text of [next.stderr(), (yield* run(["status"], { home })).stdout]) {
        assert.include(text, added)
        assert.include(text, edited)
      }
      const { warnings } = (yield* rpc(next.socket, "health")).result
      assert.deepInclude(warnings[0], { type: "audit_findings", severity: "warning" })
      assert.strictEqual((yield* run(["audit", "--verify"], { home })).status, 1)
      const recorded = auditOf(daemon.directory).filter(({ action }) => action.startsWith("audit_"))
      assert.deepStrictEqual(
        recorded.map(({ action, details }) => `${action}: ${details}`),
        [`audit_damaged: ${added}`, `audit_finding: ${edited}`]
      )
    })
  )

  it.live("prints its last entry as a witness, which a later verification requires", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const audit = (...args: ReadonlyArray<string>) => run(["audit", ...args], { home })
      assert.include((yield* audit("--head")).stderr, "there is no audit log at")
      const daemon = yield* startDaemon({ home })
      const head = (yield* audit("--head")).stdout.trimEnd()
      assert.match(head, /^\d+ [0-9a-f]{64} \S+$/)
      const [seq = "", hash = "", timestamp] = head.split(" ")
      assert.deepStrictEqual(JSON.parse((yield* audit("--head", "--json")).stdout).result, {
        seq: Number(seq),
        hash,
        timestamp
      })
      yield* rpc(daemon.socket, "add", { name: "db", value: "made up" })
      for (const witness of [[head], [hash], head.split(" ")]) {
        assert.strictEqual((yield* audit("--verify", "--head", ...witness)).status, 0)
      }
      yield* daemon.stop()
      assert.strictEqual((yield* audit("--head", hash, "--verify")).status, 0)
      const other = yield* audit("--verify", "--head", "0".repeat(64))
      assert.strictEqual(other.status, 1)
      assert.include(other.stdout, "no entry has the given hash")
      for (const args of [
        ["--verify", "--head"],
        ["--verify", "--head", "x"],
        ["--head", hash]
      ]) {
        assert.strictEqual((yield* audit(...args)).status, 2, args.join(" "))
      }
    })
  )

  it.live("sends its last entry to syslog at the start and after the last entry of an orderly stop", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const written = path.join(home, "written")
      fs.writeFileSync(path.join(home, "logger"), `#!/bin/sh\necho "$5" >> ${written}\n`, { mode: 0o755 })
      const config = path.join(home, "config.json")
      fs.writeFileSync(config, JSON.stringify({ audit_witness: { syslog: true } }))
      const daemon = yield* startDaemon({ home, env: { PATH: `${home}:/usr/bin:/bin` }, args: ["--config", config] })
      yield* Effect.repeat(
        Effect.sync(() => fs.existsSync(written) && fs.readFileSync(written, "utf8").endsWith("\n")),
        { until: (there) => there, schedule: Schedule.spaced("10 millis") }
      )
      yield* daemon.stop()
      const head = (yield* run(["audit", "--head"], { home })).stdout
      const sent = fs.readFileSync(written, "utf8").split(/(?<=\n)/)
      assert.deepStrictEqual([sent.length, sent[1]], [2, `audit witness: ${head}`])
    })
  )

  it.live("makes the daemon refuse requests and report it in status while it cannot be written", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { directory, socket } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "db", value: "made up" })
      const file = path.join(directory, "audit.log")
      fs.renameSync(file, `${file}.1`)
      fs.mkdirSync(file)
      const refusal = yield* run(["lease", "db"], { home })
      assert.deepStrictEqual([refusal.status, refusal.stdout], [5, ""])
      assert.include(refusal.stderr, "nothing was changed, because the audit log is not writable: cannot append to")
      const refusing = yield* run(["status"], { home })
      assert.strictEqual(refusing.status, 1)
      assert.include(refusing.stderr, "the daemon is up but rejects leases and changes\n  cannot append to")
      fs.rmdirSync(file)
      assert.strictEqual((yield* run(["lease", "db"], { home })).stdout, "made up")
      const { result } = JSON.parse((yield* run(["status", "--json"], { home })).stdout)
      assert.deepStrictEqual([result.running, result.audit.archives, result.audit.failure], [true, 1, undefined])
      assert.deepStrictEqual(Object.keys(result.leases), ["active", "expired", "unreadable", "capacity", "oldest"])
      assert.strictEqual((yield* run(["audit", "--verify"], { home })).status, 0)
    })
  )

  it.live("is reopened at SIGHUP, also without requests", () =>
    Effect.gen(function* () {
      const { directory, signal, socket, stderr } = yield* startDaemon({ home: yield* temporaryDirectory })
      const file = path.join(directory, "audit.log")
      fs.renameSync(file, `${file}.moved`)
      signal("SIGHUP")
      yield* Effect.repeat(
        Effect.sync(() => fs.existsSync(file) && fs.statSync(file).size > 0),
        { until: (there) => there, schedule: Schedule.spaced("10 millis") }
      )
      assert.deepStrictEqual(
        auditOf(directory).map(({ action }) => action),
        ["audit_damaged"]
      )
      signal("SIGHUP")
      yield* Effect.repeat(
        Effect.sync(() => stderr().split("SIGHUP: reopened the audit log").length),
        { until: (lines) => lines === 3, schedule: Schedule.spaced("10 millis") }
      )
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
      assert.lengthOf(auditOf(directory), 1)
    })
  )
})
