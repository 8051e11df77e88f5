/**
 * Operations on a running daemon: change, rotate, kill, restart, watch, share.
 */
import { assert, describe, it } from "@effect/vitest"
import { generateX25519Identity, identityToRecipient } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { auditOf, modeOf, rpc, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { run, shellWords } from "../harness/program.ts"
import { emptiedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until, untilTrue } from "../support/waiting.ts"

const shared = emptiedDaemon()

/** Leases the secret db as a client that is no command. */
const leaseOf = (call: (method: string, params: object) => Effect.Effect<any>, name = "db") =>
  Effect.map(call("lease", { secret_name: name, client_id: "c" }), ({ result }): string => result.value)

/** A daemon of its own, for a test that stops or configures it. */
const setup = Effect.fnUntraced(function* (config: object = {}) {
  const home = yield* temporaryDirectory
  const file = path.join(home, "config.json")
  const directory = path.join(home, ".agent-secrets")
  fs.writeFileSync(file, JSON.stringify(config))
  const daemon = yield* startDaemon({ home, args: ["--config", file] })
  const secrets = (args: ReadonlyArray<string>, stdin?: string) =>
    run(args, { home, ...(stdin === undefined ? {} : { stdin }) })
  return {
    home,
    directory,
    daemon,
    secrets,
    call: (method: string, params?: object) => rpc(daemon.socket, method, params)
  }
})

describe("update and delete", () => {
  it.live("change the value, and the rotation command only if one is given", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* shared
      yield* call("add", { name: "db", value: "old", rotate_via: "a command" })
      assert.strictEqual((yield* secrets(["update", "db"], "new\n")).stdout, 'updated "db"\n')
      assert.strictEqual(yield* leaseOf(call), "new")
      const hook = Effect.map(call("list"), ({ result }) => result.secrets[0].rotate_via)
      assert.strictEqual(yield* hook, "a command")
      yield* secrets(["update", "db", "--value", "x", "--rotate-via", "another"])
      assert.strictEqual(yield* hook, "another")
      yield* secrets(["update", "db", "--value", "x", "--rotate-via", ""])
      assert.isUndefined(yield* hook)
      assert.strictEqual((yield* secrets(["update", "nope", "--value", "x"])).status, 4)
      const unset = yield* call("update", { name: "db", value: "y", rotate_via: "ignored" })
      assert.deepStrictEqual(unset.result, { success: true, message: 'secret "db" updated successfully' })
      assert.isUndefined(yield* hook)
    })
  )

  it.live("remove a secret with its leases, with or without --force, by either name", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* shared
      for (const line of [
        ["delete", "db", "--force"],
        ["--no-update-check", "rm", "db"]
      ]) {
        yield* call("add", { name: "db", value: "x" })
        yield* leaseOf(call)
        assert.strictEqual((yield* secrets(line)).stdout, 'deleted "db"\n')
        assert.strictEqual((yield* call("status")).result.active_leases, 0)
      }
      assert.strictEqual((yield* secrets(["delete", "db"])).status, 4)
    })
  )

  it.live("accept a name that is hard to type only with --force", () =>
    Effect.gen(function* () {
      const { secrets } = yield* shared
      const check = Effect.fnUntraced(function* (name: string) {
        const refused = yield* secrets(["add", "--value", "v", "--", name])
        assert.deepStrictEqual([refused.status, refused.stdout], [2, ""])
        assert.strictEqual((yield* secrets(["add", "--force", "--value", "v", "--", name])).status, 0)
        assert.strictEqual((yield* secrets(["lease", "--", name])).stdout, "v")
      })
      yield* Effect.forEach(["-x", "a\tb"], check, { concurrency: "unbounded" })
    })
  )

  it.live("reject names and values over the limit, and keep the longest within it", () =>
    Effect.gen(function* () {
      const { call } = yield* shared
      const mebibyte = 1024 * 1024
      const refused = yield* call("add", { name: "big", value: "é".repeat(mebibyte / 2) + "x" })
      assert.deepStrictEqual(refused.error, {
        code: -32603,
        message: "secret value is longer than 1048576 bytes",
        data: { tag: "TooLong" }
      })
      assert.isDefined((yield* call("add", { name: "n".repeat(16 * 1024), value: "é".repeat(mebibyte / 2) })).result)
      const name = yield* call("add", { name: "n".repeat(16 * 1024 + 1), value: "x" })
      assert.strictEqual(name.error.message, "secret name is longer than 16384 bytes")
    })
  )
})

describe("rotate", () => {
  it.live("runs the command as the predecessor did, and keeps its output out of the log", () =>
    Effect.gen(function* () {
      const { audit, call, directory } = yield* shared
      yield* call("add", { name: "aws", value: "old", rotate_via: "echo hush; echo err >&2" })
      const { result } = yield* call("rotate", { secret_name: "aws" })
      assert.deepStrictEqual(
        { ...result, executed_at: "" },
        { success: true, output: "hush\n\nerr\n", executed_at: "" }
      )
      assert.strictEqual(yield* leaseOf(call, "aws"), "old")
      const entry = audit().find(({ action }) => action === "secret_rotate")
      assert.strictEqual(entry?.["details"], "exit status 0, 9 bytes of output")
      assert.notInclude(fs.readFileSync(path.join(directory, "audit.log"), "utf8"), "hush\\n")
    })
  )

  it.live("takes the new value from the output of a command, also after a restart", () =>
    Effect.gen(function* () {
      const { call, daemon, directory, home, secrets } = yield* setup()
      const command = `printf 'value %s\\n' "$SECRET_NAME"`
      yield* secrets(["add", "db", "--value", "old", "--rotate-via", command, "--rotate-stdout"])
      yield* leaseOf(call)
      const rotated = yield* secrets(["rotate", "db"])
      assert.deepStrictEqual([rotated.status, rotated.stdout], [0, 'rotated "db"; 1 lease still holds the old value\n'])
      assert.strictEqual(yield* leaseOf(call), "value db")
      yield* daemon.stop()
      yield* startDaemon({ home })
      assert.isTrue((yield* call("rotate", { secret_name: "db" })).result.success)
      assert.strictEqual(yield* leaseOf(call), "value db")
      assert.notInclude(fs.readFileSync(path.join(directory, "audit.log"), "utf8"), "value db")
    })
  )

  it.live("rotates all secrets it can, and lists the others", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* shared
      yield* call("add", { name: "plain", value: "x" })
      yield* call("add", { name: "good", value: "x", rotate_via: "true" })
      assert.deepStrictEqual((yield* secrets(["rotate", "--all"])).stdout, "rotated 1 secret\n")
      yield* call("add", { name: "bad", value: "x", rotate_via: "exit 3" })
      const lines = [
        ["rotate", "--all"],
        ["rotate", "plain"]
      ]
      const [ended, alone] = yield* Effect.forEach(lines, (line) => secrets(line), { concurrency: "unbounded" })
      if (ended === undefined) return assert.fail()
      assert.deepStrictEqual([ended.status, ended.stdout], [5, ""])
      assert.include(ended.stderr, 'rotated 1 of 2 secrets: rotation of secret "bad" failed: rotation hook failed')
      assert.strictEqual(alone?.status, 5)
    })
  )

  it.live("kills a running command when the daemon stops, and stops in order", () =>
    Effect.gen(function* () {
      const { call, daemon, directory, home } = yield* setup()
      const pid = path.join(home, "pid")
      yield* call("add", { name: "slow", value: "x", rotate_via: `echo $$ > ${pid}; sleep 1000` })
      const reply = yield* Effect.forkChild(call("rotate", { secret_name: "slow" }))
      yield* until(() => fs.existsSync(pid))
      const ended = yield* promptly(2_000, daemon.stop())
      assert.strictEqual(ended.status, 0)
      assert.strictEqual((yield* Fiber.join(reply)).error.code, -32003)
      assert.deepStrictEqual(
        auditOf(directory)
          .slice(-2)
          .map(({ action, success }) => [action, success]),
        [
          ["secret_rotate", false],
          ["daemon_stop", true]
        ]
      )
      assert.throws(() => process.kill(Number(fs.readFileSync(pid, "utf8")), 0))
    })
  )

  it.live("rejects a command that cannot run, without printing it", () =>
    Effect.gen(function* () {
      const { audit, call, stderr } = yield* shared
      yield* call("add", { name: "odd", value: "x", rotate_via: "echo hush-hush\u0000" })
      const reply = yield* call("rotate", { secret_name: "odd" })
      assert.deepStrictEqual(reply.error, {
        code: -32003,
        message: 'rotation of secret "odd" failed: rotation hook failed',
        data: { tag: "RotationFailed" }
      })
      assert.strictEqual(audit().at(-1)?.["details"], "could not be run")
      assert.notInclude(stderr(), "hush-hush")
    })
  )

  it.live("ends a command at the configured deadline", () =>
    Effect.gen(function* () {
      const { call } = yield* setup({ rotation_timeout: "300ms" })
      yield* call("add", { name: "slow", value: "x", rotate_via: "sleep 100" })
      const reply = yield* call("rotate", { secret_name: "slow" })
      assert.deepStrictEqual(reply.error, {
        code: -32003,
        message: 'rotation of secret "slow" failed: rotation hook timed out',
        data: { tag: "RotationFailed" }
      })
    })
  )
})

describe("revoke --all", () => {
  it.live("wipes the store and its backup on request, and the daemon keeps running", () =>
    Effect.gen(function* () {
      const { call, directory, secrets } = yield* shared
      yield* call("add", { name: "db", value: "x" })
      yield* call("add", { name: "mail", value: "x", rotate_via: "true" })
      yield* leaseOf(call)
      const ended = yield* secrets(["revoke", "--all", "--rotate", "--wipe"])
      assert.strictEqual(ended.stdout.split("\n")[0], "revoked 1 lease; rotated 1 secret; wiped 2 secrets")
      assert.isFalse(fs.existsSync(path.join(directory, "secrets.age.bak")))
      assert.include((yield* secrets(["list"])).stdout, "no secrets; add one with")
      assert.isDefined((yield* call("add", { name: "db", value: "y" })).result)
      assert.strictEqual((yield* secrets(["revoke", "--wipe"])).status, 2)
    })
  )
})

describe("a backup", () => {
  it.live("moves everything to another home, where no daemon runs, and back into the first one", () =>
    Effect.gen(function* () {
      const { call, home, secrets } = yield* shared
      const other = yield* temporaryDirectory
      const [file, key] = [path.join(other, "backup"), path.join(other, "key")]
      const identity = yield* Effect.promise(() => generateX25519Identity())
      fs.writeFileSync(key, `# made up\n${identity}\n`)
      const recipient = yield* Effect.promise(() => identityToRecipient(identity))
      yield* call("add", { name: "db", value: "one", description: "of the shop" })
      const done = yield* secrets(["backup", file, "--recipient", recipient])
      assert.deepStrictEqual([done.status, modeOf(file)], [0, "600"], done.stderr)
      const again = yield* secrets(["backup", file, "--recipient", recipient])
      assert.deepStrictEqual([again.status, again.stdout], [2, ""])

      const elsewhere = (args: ReadonlyArray<string>) => run(args, { home: other })
      const restore = ["restore", file, "--identity", key]
      const planned = yield* elsewhere([...restore, "--dry-run"])
      assert.deepStrictEqual(
        [planned.stdout, fs.existsSync(path.join(other, ".agent-secrets"))],
        ["would restore: 1 added, 0 updated, 0 unchanged\n", false]
      )
      const restored = yield* elsewhere(restore)
      assert.deepStrictEqual([restored.stdout, restored.stderr], ["restored: 1 added, 0 updated, 0 unchanged\n", ""])
      assert.strictEqual(auditOf(path.join(other, ".agent-secrets")).at(-1)?.["action"], "store_restore")

      yield* call("update", { name: "db", value: "two" })
      const refused = yield* secrets(restore)
      assert.deepStrictEqual([refused.status, refused.stdout], [5, ""])
      assert.include(refused.stderr, "changed after the backup")
      assert.strictEqual(yield* leaseOf(call), "two")
      assert.strictEqual((yield* secrets([...restore, "--overwrite"])).status, 0)
      assert.strictEqual(yield* leaseOf(call), "one")
      const old = [
        path.join(other, ".agent-secrets/secrets.age"),
        "--identity",
        path.join(other, ".agent-secrets/identity.age")
      ]
      assert.match((yield* secrets(["restore", ...old])).stdout, /0 added, 0 updated, 1 unchanged/)
      assert.isFalse(fs.existsSync(path.join(home, "backup.tmp")))
    })
  )
})

describe("health", () => {
  it.live("lists what is expiring and what cannot be rotated", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* shared
      yield* call("add", { name: "db", value: "x" })
      const { lease_id, expires_at } = (yield* call("lease", { secret_name: "db", client_id: "c", ttl: "30m" })).result
      const { result } = yield* call("health")
      assert.deepStrictEqual(result, {
        total_secrets: 1,
        active_leases: 1,
        expiring_soon: 1,
        never_rotated: 1,
        stale_secrets: 0,
        warnings: [
          {
            type: "expiring_soon",
            secret_name: "db",
            lease_id,
            message: "Lease expires in 30m",
            severity: "warning",
            timestamp: expires_at
          },
          {
            type: "no_rotation_hook",
            secret_name: "db",
            message: "No rotation hook configured",
            severity: "info",
            timestamp: "0001-01-01T00:00:00Z"
          }
        ]
      })
      const shown = yield* secrets(["health"])
      assert.strictEqual(shown.status, 0)
      assert.match(shown.stdout, /^1 secret, 1 active lease\nhealthy\n\nWithout a rotation command: 1 of 1: "db"\n$/)
    })
  )
})

describe("the heartbeat", () => {
  it.live("triggers the killswitch when the endpoint fails, and shows in status", () =>
    Effect.gen(function* () {
      const endpoint = { status: 200, asked: 0 }
      const server = yield* Effect.acquireRelease(
        Effect.callback<http.Server>((resume) => {
          const created = http.createServer((_request, response) => {
            endpoint.asked += 1
            response.writeHead(endpoint.status).end()
          })
          created.listen(0, "127.0.0.1", () => resume(Effect.succeed(created)))
        }),
        (created) => Effect.sync(() => created.close())
      )
      const { port } = server.address() as AddressInfo
      const { call, directory } = yield* setup({
        heartbeat: {
          enabled: true,
          url: `http://127.0.0.1:${port}/ping/hush?token=hush`,
          interval: "100ms",
          timeout: 5_000_000_000,
          fail_action: { revoke_all: true }
        }
      })
      yield* call("add", { name: "db", value: "x" })
      yield* call("lease", { secret_name: "db", client_id: "c" })
      yield* until(() => endpoint.asked >= 3)
      const well = (yield* call("status")).result
      assert.strictEqual(well.active_leases, 1)
      assert.deepInclude(well.heartbeat, {
        url: `http://127.0.0.1:${port}`,
        enabled: true,
        interval: 100_000_000,
        timeout: 5_000_000_000,
        fired: false
      })
      endpoint.status = 503
      yield* untilTrue(
        Effect.map(call("status"), ({ result }) => result.heartbeat.fired === true && result.active_leases === 0)
      )
      const entries = auditOf(directory).map(({ action, details }) => `${action} ${details}`)
      assert.include(entries, "heartbeat_fail heartbeat failed: HTTP 503")
      assert.include(entries, "killswitch revoked 1 leases")
      endpoint.status = 200
      yield* untilTrue(Effect.map(call("status"), ({ result }) => result.heartbeat.fired === false))
    })
  )
})

describe("daemon restart", () => {
  it.live("comes back through its supervisor with its leases, and is not repeated at once", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const env = { HOME: home, PATH: "/usr/bin:/bin" }
      // A supervisor in one line: restarts a daemon that exits with status 0.
      const loop = `while ${shellWords} serve 2>>"$HOME/log"; do :; done`
      yield* Effect.acquireRelease(
        Effect.sync(() => spawn("/bin/sh", ["-c", loop], { env, stdio: "ignore", detached: true })),
        (supervisor) => Effect.sync(() => process.kill(-(supervisor.pid ?? 0), "SIGKILL"))
      )
      const socket = path.join(home, ".agent-secrets/agent-secrets.sock")
      assert.strictEqual((yield* run(["status", "--wait", "2m"], { home })).status, 0)
      yield* rpc(socket, "add", { name: "db", value: "x" })
      yield* rpc(socket, "lease", { secret_name: "db", client_id: "c" })
      assert.strictEqual((yield* run(["daemon", "restart", "--help"], { home })).status, 0)
      const restarted = yield* run(["--no-update-check", "daemon", "restart"], { home })
      assert.deepStrictEqual([restarted.status, restarted.stdout.slice(0, 10)], [0, "restarted;"])
      const { result } = yield* rpc(socket, "status")
      assert.strictEqual(result.active_leases, 1)
      const again = yield* run(["daemon", "restart"], { home })
      assert.strictEqual(again.status, 5)
      assert.match(again.stderr, /daemon restart is cooling down; retry after (2\d|30)/)
      const actions = auditOf(path.join(home, ".agent-secrets")).map(({ action }) => action)
      assert.deepStrictEqual(
        actions.filter((action) => action.startsWith("daemon_")),
        ["daemon_start", "daemon_restart", "daemon_stop", "daemon_start", "daemon_restart"]
      )
      assert.strictEqual(modeOf(path.join(home, ".agent-secrets/restart-cooldown.json")), "600")
    })
  )
})

describe("a socket for a group", () => {
  const group = String(process.getgid?.() ?? 0)

  it.live("is open to that group and to no one else", () =>
    Effect.gen(function* () {
      const { daemon } = yield* setup({ socket_mode: "0660", socket_group: group })
      assert.strictEqual(modeOf(daemon.socket), "660")
      assert.strictEqual(String(fs.statSync(daemon.socket).gid), group)
    })
  )

  it.live("prevents the start if the group does not exist", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      fs.writeFileSync(config, JSON.stringify({ socket_mode: "0660", socket_group: "no-such-group" }))
      const ended = yield* run(["serve", "--config", config], { home })
      assert.strictEqual(ended.status, 73)
      assert.include(ended.stderr, "cannot give it to the group no-such-group")
    })
  )
})
