/**
 * What systemd hears: that the daemon is ready when it answers, a sign of life twice in
 * the time it has for one, and none from a daemon that does not answer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as path from "node:path"
import { notifySupervisor } from "../../../src/daemon/lifecycle/notifySupervisor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** A stand-in for systemd-notify, and a daemon that answers while it is told to. */
const scene = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const out = path.join(directory, "out")
  fs.writeFileSync(path.join(directory, "systemd-notify"), `#!/bin/sh\necho "$*" >> "${out}"\n`, { mode: 0o755 })
  const daemon = { answers: true, asked: 0 }
  const log: Array<string> = []
  const run = (watchdogMillis: number | undefined, notifySocket: string | undefined) =>
    notifySupervisor(
      {
        supervision: { listener: undefined, notifySocket, watchdogMillis },
        searchPath: directory,
        probe: () =>
          Effect.suspend(() => {
            daemon.asked += 1
            return daemon.answers ? Effect.void : Effect.fail("no answer in time")
          })
      },
      "serving"
    ).pipe(
      Effect.provide(Logger.layer([Logger.make<unknown, void>(({ message }) => void log.push(String(message)))])),
      Effect.forkScoped
    )
  const told = () => (fs.existsSync(out) ? fs.readFileSync(out, "utf8") : "")
  return { daemon, directory, log, run, told }
})

const until = (good: () => boolean) =>
  Effect.sync(good).pipe(
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("2 millis") }),
    Effect.timeout("5 seconds")
  )

describe.concurrent("systemd", () => {
  it.live("hears that the daemon is ready only when it answers", () =>
    Effect.gen(function* () {
      const { daemon, run, told } = yield* scene
      daemon.answers = false
      yield* run(undefined, "@nowhere")
      yield* until(() => daemon.asked >= 3)
      assert.strictEqual(told(), "")
      daemon.answers = true
      yield* until(() => told() === "READY=1 STATUS=serving\n")
    })
  )

  it.live("hears signs of life of a daemon that answers, and none of one that does not", () =>
    Effect.gen(function* () {
      const { daemon, log, run, told } = yield* scene
      yield* run(20, "@nowhere")
      yield* until(() => told().split("WATCHDOG=1\n").length > 3)
      daemon.answers = false
      const before = daemon.asked
      yield* until(() => daemon.asked > before + 1)
      const heard = told()
      yield* until(() => daemon.asked > before + 6)
      assert.strictEqual(told(), heard)
      assert.include(log.join(), "no sign of life for the watchdog of systemd: no answer in time")
      daemon.answers = true
      yield* until(() => told().length > heard.length)
    })
  )

  it.live("is not told anything where nobody listens, and nobody is asked", () =>
    Effect.gen(function* () {
      const { daemon, run } = yield* scene
      yield* run(20, undefined)
      yield* Effect.yieldNow
      assert.strictEqual(daemon.asked, 0)
    })
  )

  it.live("that cannot be told is a line of the log with what to do", () =>
    Effect.gen(function* () {
      const { directory, log, run } = yield* scene
      fs.writeFileSync(path.join(directory, "systemd-notify"), "#!/bin/sh\nexit 1\n")
      yield* run(undefined, "@nowhere")
      yield* until(() => log.join().includes("systemd is not told that the daemon serves"))
      assert.include(log.join(), "Type=exec")
    })
  )
})
