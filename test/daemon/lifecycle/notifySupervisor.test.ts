/**
 * systemd gets READY=1 when the daemon replies, and WATCHDOG=1 twice per watchdog interval
 * as long as it replies.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as path from "node:path"
import { notifySupervisor } from "../../../src/daemon/lifecycle/notifySupervisor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

/** A fake systemd-notify, and a daemon that replies or not. */
const setUp = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const out = path.join(directory, "out")
  fs.writeFileSync(path.join(directory, "systemd-notify"), `#!/bin/sh\necho "$*" >> "${out}"\n`, { mode: 0o755 })
  const daemon = { replies: true, probes: 0 }
  const log: Array<string> = []
  const run = (watchdogMillis: number | undefined, notifySocket: string | undefined) =>
    notifySupervisor(
      {
        supervision: { listeners: [], notifySocket, watchdogMillis },
        searchPath: directory,
        probe: () =>
          Effect.suspend(() => {
            daemon.probes += 1
            return daemon.replies ? Effect.void : Effect.fail("timed out")
          })
      },
      "serving"
    ).pipe(
      Effect.provide(Logger.layer([Logger.make<unknown, void>(({ message }) => void log.push(String(message)))])),
      Effect.forkScoped
    )
  const sent = () => (fs.existsSync(out) ? fs.readFileSync(out, "utf8") : "")
  return { daemon, directory, log, run, sent }
})

describe.concurrent("systemd", () => {
  it.live("is notified of readiness only when the daemon replies", () =>
    Effect.gen(function* () {
      const { daemon, run, sent } = yield* setUp
      daemon.replies = false
      yield* run(undefined, "@nowhere")
      yield* until(() => daemon.probes >= 3)
      assert.strictEqual(sent(), "")
      daemon.replies = true
      yield* until(() => sent() === "READY=1 STATUS=serving\n")
    })
  )

  it.live("gets watchdog messages only while the daemon replies", () =>
    Effect.gen(function* () {
      const { daemon, log, run, sent } = yield* setUp
      yield* run(20, "@nowhere")
      yield* until(() => sent().split("WATCHDOG=1\n").length > 3)
      daemon.replies = false
      const probes = daemon.probes
      yield* until(() => daemon.probes > probes + 1)
      const before = sent()
      yield* until(() => daemon.probes > probes + 6)
      assert.strictEqual(sent(), before)
      assert.include(log.join(), "cannot notify the watchdog of systemd: timed out")
      daemon.replies = true
      yield* until(() => sent().length > before.length)
    })
  )

  it.live("gets nothing without NOTIFY_SOCKET, and the daemon is not probed", () =>
    Effect.gen(function* () {
      const { daemon, run } = yield* setUp
      yield* run(20, undefined)
      yield* Effect.yieldNow
      assert.strictEqual(daemon.probes, 0)
    })
  )

  it.live("is reported in the log with a hint if it cannot be notified", () =>
    Effect.gen(function* () {
      const { directory, log, run } = yield* setUp
      fs.writeFileSync(path.join(directory, "systemd-notify"), "#!/bin/sh\nexit 1\n")
      yield* run(undefined, "@nowhere")
      yield* until(() => log.join().includes("cannot notify systemd that the daemon is ready"))
      assert.include(log.join(), "Type=exec")
    })
  )
})
