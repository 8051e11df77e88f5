/**
 * The crash loop of the incident: foreign signals, kills, and restarts on a stale socket, under a
 * caller that never stops requesting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as path from "node:path"
import { Connection } from "../harness/connection.ts"
import { auditOf, connect, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const secretCount = 56
const restarts = 3
/** Far below the two minutes of the incident. */
const withinMillis = 3_000

const request = (method: string, params: object) =>
  JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id: 1 })

/** Leases on one connection after the other until interrupted, and keeps the last lease. */
const restlessCaller = (socketPath: string) => {
  const received = { answers: 0, failures: 0, lastLease: "", sure: false }
  const once = Effect.promise(async () => {
    const connection = new Connection(socketPath)
    received.sure = false
    const line = await connection.ask(request("lease", { secret_name: "s1", client_id: "caller", ttl: "24h" }))
    connection.socket.destroy()
    if (line === undefined) {
      received.failures += 1
      return
    }
    received.answers += 1
    received.lastLease = JSON.parse(line).result.lease_id
    received.sure = true
  })
  return { received, asking: Effect.repeat(once, Schedule.spaced("2 millis")) }
}

const fillWithLeases = Effect.fnUntraced(function* (daemon: RunningDaemon) {
  const connection = yield* connect(daemon.socket)
  const leases = new Map<string, string>()
  for (let n = 1; n <= secretCount; n += 1) {
    yield* Effect.promise(() => connection.ask(request("add", { name: `s${n}`, value: `made-up value ${n}` })))
    const params = { secret_name: `s${n}`, client_id: "worker", ttl: "24h" }
    const line = yield* Effect.promise(() => connection.ask(request("lease", params)))
    leases.set(`s${n}`, JSON.parse(line ?? "").result.lease_id)
  }
  return leases
})

/** A joelclaw that records its input. */
const standIn = Effect.fnUntraced(function* () {
  const directory = yield* temporaryDirectory
  const events = path.join(directory, "events")
  fs.writeFileSync(events, "")
  const script = `#!/bin/sh\n{ cat; echo; } >> "${events}"; echo '{"ok":true}'\n`
  fs.writeFileSync(path.join(directory, "joelclaw"), script, { mode: 0o755 })
  const recoveries = () =>
    fs
      .readFileSync(events, "utf8")
      .split("\n")
      .filter((line) => line.includes("daemon.crash_recovered"))
      .map((line) => JSON.parse(line).metadata)
  return { env: { PATH: `${directory}:/usr/bin:/bin` }, recoveries }
})

describe("a crash loop", () => {
  it.live("delays a caller only briefly, loses no secret and no lease, and is recorded every time", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { env, recoveries } = yield* standIn()
      let daemon = yield* startDaemon({ home, env })
      const leases = yield* fillWithLeases(daemon)
      const { asking, received } = restlessCaller(daemon.socket)
      const caller = yield* Effect.forkChild(asking)
      yield* until(() => received.answers > 0)
      const pids: Array<number> = []
      for (let n = 1; n <= restarts; n += 1) {
        for (const signal of ["SIGUSR1", "SIGHUP", "SIGUSR2", "SIGTSTP"] as const) daemon.signal(signal)
        yield* rpc(daemon.socket, "status")
        pids.push(daemon.pid)
        yield* daemon.stop("SIGKILL")
        assert.isTrue(fs.lstatSync(daemon.socket).isSocket())
        const before = received.answers
        const answering = Effect.tap(
          startDaemon({ home, env }),
          until(() => received.answers > before)
        )
        daemon = yield* promptly(withinMillis, answering)
        const { result } = yield* rpc(daemon.socket, "status")
        assert.deepStrictEqual([result.secrets_count, result.active_leases], [secretCount, secretCount + 1])
        yield* until(() => recoveries().length === n)
      }
      yield* Fiber.interrupt(caller)
      yield* daemon.stop()
      assert.isAbove(received.failures, 0)

      const reported = recoveries()
      assert.deepStrictEqual(
        reported.map(({ leasesExpired, leasesRestored, previousPid, staleSocket }) => [
          previousPid,
          staleSocket,
          leasesRestored,
          leasesExpired
        ]),
        pids.map((pid) => [pid, true, secretCount + 1, 0])
      )
      const audited = auditOf(daemon.directory).filter(({ action }) => action === "daemon_crash_recovered")
      assert.lengthOf(audited, restarts)
      audited.forEach((entry, n) => assert.include(entry["details"], `process ${pids[n]}`))

      const kept: ReadonlyArray<any> = JSON.parse(fs.readFileSync(path.join(daemon.directory, "leases.json"), "utf8"))
      const held = new Map(kept.map((lease) => [`${lease.secret_name} ${lease.client_id}`, lease.id]))
      assert.strictEqual(held.size, kept.length)
      for (const [secret, id] of leases) assert.strictEqual(held.get(`${secret} worker`), id)
      if (received.sure) assert.strictEqual(held.get("s1 caller"), received.lastLease)
    })
  )
})
