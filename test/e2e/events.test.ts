/**
 * Events of a real daemon through a stand-in `joelclaw`, and that no joelclaw disturbs
 * the daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { leaseOften, rpc, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const fakeJoelclaw = Effect.fnUntraced(function* (script: string) {
  const directory = yield* temporaryDirectory
  const events = path.join(directory, "events")
  fs.writeFileSync(events, "")
  fs.writeFileSync(path.join(directory, "joelclaw"), `#!/bin/sh\n${script.replaceAll("$EVENTS", events)}\n`, {
    mode: 0o755
  })
  const read = (): ReadonlyArray<any> =>
    fs
      .readFileSync(events, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  return { env: { PATH: `${directory}:/usr/bin:/bin`, AGENT_SECRETS_EVENTS_MIN_LEVEL: "debug" }, read }
})

const recordingScript = 'cat >> "$EVENTS"; echo >> "$EVENTS"; echo \'{"ok":true}\''

describe("with joelclaw on the PATH", () => {
  it.live("the daemon emits events about its lifecycle and its leases", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { env, read } = yield* fakeJoelclaw(recordingScript)
      const daemon = yield* startDaemon({ home, env })
      yield* rpc(daemon.socket, "add", { name: "db", value: "hush-hush" })
      const first = (yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c", ttl: "90s" })).result
      const second = (yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })).result
      yield* until(() => read().length === 4)
      yield* daemon.stop()
      const received = read()
      assert.deepStrictEqual(
        received.map(({ action, component, level, success, source }) => [action, component, level, success, source]),
        [
          ["daemon.started", "daemon", "info", true, "agent-secrets"],
          ["lease.acquired", "lease", "debug", true, "agent-secrets"],
          ["lease.replaced", "lease", "info", true, "agent-secrets"],
          ["lease.acquired", "lease", "debug", true, "agent-secrets"],
          ["daemon.stopped", "daemon", "info", true, "agent-secrets"]
        ]
      )
      assert.deepInclude(received[0].metadata, {
        pid: daemon.pid,
        socketPath: daemon.socket,
        activeLeases: 0,
        secretCount: 0
      })
      assert.deepInclude(received[1].metadata, {
        leaseId: first.lease_id,
        secretName: "db",
        clientId: "c",
        ttlSeconds: 90
      })
      assert.deepInclude(received[2].metadata, { leaseId: second.lease_id, replacedLeaseId: first.lease_id })
      assert.deepInclude(received[4].metadata, { pid: daemon.pid, reason: "SIGTERM", activeLeases: 1 })
      assert.notInclude(JSON.stringify(received), "hush-hush")
    })
  )

  it.live("the daemon emits an event about a crash and what it recovered", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { env, read } = yield* fakeJoelclaw(recordingScript)
      const first = yield* startDaemon({ home })
      yield* rpc(first.socket, "add", { name: "db", value: "x" })
      yield* rpc(first.socket, "lease", { secret_name: "db", client_id: "c" })
      yield* first.stop("SIGKILL")
      yield* startDaemon({ home, env })
      yield* until(() => read().length === 2)
      const [recovered, started] = read()
      assert.deepStrictEqual(
        [recovered.action, recovered.level, recovered.success],
        ["daemon.crash_recovered", "warn", true]
      )
      assert.deepInclude(recovered.metadata, {
        previousPid: first.pid,
        staleSocket: true,
        leasesRestored: 1,
        leasesExpired: 0
      })
      assert.isAtLeast(recovered.metadata.downtimeMs, 0)
      assert.strictEqual(started.action, "daemon.started")
    })
  )
})

for (const [behavior, script] of [
  ["hangs and ignores signals", "trap '' TERM INT HUP; sleep 1000"],
  ["fails", "exit 1"],
  ["floods", "cat /dev/zero"],
  ["is not executable code", "\u0000\u0001"]
] as const) {
  describe.concurrent(`with a joelclaw that ${behavior}`, () => {
    it.live("the daemon leases as usual and stops in time", () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const { env } = yield* fakeJoelclaw(script)
        const daemon = yield* startDaemon({ home, env })
        yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
        const all = yield* leaseOften(daemon.socket, 300)
        for (const { result } of all) assert.strictEqual(result.value, "x")
        assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, 7)
        const ended = yield* promptly(2_000, daemon.stop())
        assert.strictEqual(ended.status, 0)
        const warnings = ended.stderr.split("\n").filter((line) => line.includes("joelclaw fails"))
        assert.isAtMost(warnings.length, 1)
      })
    )
  })
}
