/**
 * Rotation outside or of the value, and the limits of a rotation command.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { rotateSecret } from "../../../src/daemon/operations/rotate.ts"
import { type HookResult, RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { millisecond, second } from "../../../src/domain/GoDuration.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { untilTrue } from "../../support/waiting.ts"
import { addSecret, testLayerNoTelemetry, acquireLease, rotationHook } from "../../support/testLayer.ts"

const printing = (stdout: string, more: Partial<HookResult> = {}): HookResult => ({
  stdout: Buffer.from(stdout),
  stderr: new Uint8Array(),
  status: "done",
  outcome: "exit status 0, 7 bytes of output",
  ...more
})

const withHook = (result: HookResult) =>
  Layer.provideMerge(
    testLayerNoTelemetry,
    rotationHook(() => result)
  )

const add = (name: string, rotateStdout: boolean) =>
  SecretStore.use((secrets) =>
    secrets.add({ name, value: Redacted.make("old value"), rotateVia: "the command", rotateStdout })
  )

const valueOf = (name: string) =>
  SecretStore.use((secrets) => Effect.map(Effect.fromResult(secrets.get(name)), ({ value }) => Redacted.value(value)))

const lastEntry = Effect.map(
  AuditLog.use((audit) => audit.tail(1)),
  ([entry]) => [entry?.action, entry?.details, entry?.success]
)

describe("rotate", () => {
  it.effect("keeps the value, returns the output, and records only its length", () =>
    Effect.gen(function* () {
      yield* add("db", false)
      yield* TestClock.adjust("1 hour")
      const rotated = yield* rotateSecret("db")
      assert.strictEqual(rotated.output, "new one\nand a note")
      assert.strictEqual(yield* valueOf("db"), "old value")
      const [info] = yield* SecretStore.use((secrets) => secrets.list)
      assert.deepStrictEqual([info?.lastRotated, info?.updatedAt], [rotated.at, rotated.at])
      assert.strictEqual(rotated.at.millis, 3_600_000)
      assert.deepStrictEqual(yield* lastEntry, ["secret_rotate", "exit status 0, 7 bytes of output", true])
    }).pipe(Effect.provide(withHook(printing("new one", { stderr: Buffer.from("and a note") }))))
  )

  it.effect("stores the output as the value, and neither returns nor records it", () =>
    Effect.gen(function* () {
      yield* add("db", true)
      yield* acquireLease("db", "one")
      yield* acquireLease("db", "two")
      const rotated = yield* rotateSecret("db")
      assert.deepStrictEqual([rotated.output, rotated.leasesOfOldValue], ["", 2])
      assert.strictEqual(yield* valueOf("db"), " new\nvalue \n")
      const log = JSON.stringify(yield* AuditLog.use((audit) => audit.tail(100)))
      assert.notInclude(log, "value")
    }).pipe(Effect.provide(withHook(printing(" new\nvalue \n"))))
  )

  for (const output of ["new", "new\n", "new\r\n"]) {
    it.effect(`stores a single line without its end: ${JSON.stringify(output)}`, () =>
      Effect.gen(function* () {
        yield* add("db", true)
        yield* rotateSecret("db")
        assert.strictEqual(yield* valueOf("db"), "new")
      }).pipe(Effect.provide(withHook(printing(output))))
    )
  }

  for (const [what, result] of [
    ["prints nothing", printing("\n")],
    ["prints invalid UTF-8", { ...printing(""), stdout: Uint8Array.of(0xff, 0xfe) }],
    ["prints more than the maximum size of a value", printing("x".repeat(1024 * 1024 + 1))]
  ] as const) {
    it.effect(`keeps the old value if the command ${what}`, () =>
      Effect.gen(function* () {
        yield* add("db", true)
        const failure = yield* Effect.flip(rotateSecret("db"))
        assert.strictEqual(failure.message, 'rotation of secret "db" failed: rotation hook gave no usable value')
        assert.strictEqual(yield* valueOf("db"), "old value")
        assert.deepStrictEqual((yield* lastEntry)[2], false)
      }).pipe(Effect.provide(withHook(result)))
    )
  }

  for (const [status, reason] of [
    ["failed", "rotation hook failed"],
    ["timed out", "rotation hook timed out"]
  ] as const) {
    it.effect(`fails with "${reason}" and no output in the log or the error`, () =>
      Effect.gen(function* () {
        yield* add("db", true)
        const failure = yield* Effect.flip(rotateSecret("db"))
        assert.strictEqual(failure.message, `rotation of secret "db" failed: ${reason}`)
        assert.deepStrictEqual(yield* lastEntry, ["secret_rotate", "how it ended", false])
        assert.strictEqual(yield* valueOf("db"), "old value")
      }).pipe(Effect.provide(withHook(printing("half a value", { status, outcome: "how it ended" }))))
    )
  }

  it.effect("fails for a secret without a command, and for an unknown one", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      assert.strictEqual((yield* Effect.flip(rotateSecret("db"))).message, 'secret "db": no rotation hook configured')
      assert.strictEqual((yield* Effect.flip(rotateSecret("nope")))._tag, "SecretNotFound")
    }).pipe(Effect.provide(withHook(printing(""))))
  )
})

describe("RotationHook", () => {
  const run = (command: string, timeout = 20n * second, environment: Record<string, string> = {}) =>
    RotationHook.use((hook) => hook.run(command, "db")).pipe(
      Effect.provide(RotationHook.layer({ timeout, environment }))
    )
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

  it.live("returns the output and how the command ended", () =>
    Effect.gen(function* () {
      const good = yield* run("echo hi; echo err >&2; cat")
      assert.deepStrictEqual(
        [text(good.stdout), text(good.stderr), good.status, good.outcome],
        ["hi\n", "err\n", "done", "exit status 0, 7 bytes of output"]
      )
      const bad = yield* run("echo half; exit 3")
      assert.deepStrictEqual([bad.status, bad.outcome], ["failed", "exit status 3, 5 bytes of output"])
      const killed = yield* run("kill -9 $$")
      assert.deepStrictEqual([killed.status, killed.outcome], ["failed", "killed by SIGKILL, 0 bytes of output"])
    })
  )

  it.live("passes a small environment without the daemon's own variables", () =>
    Effect.gen(function* () {
      const environment = { PATH: "/usr/bin:/bin", HOME: "/h", API_TOKEN: "hush-hush", NODE_OPTIONS: "--inspect" }
      const { stdout } = yield* run("env; pwd", 20n * second, environment)
      const lines = text(stdout).split("\n")
      for (const line of ["PATH=/usr/bin:/bin", "HOME=/h", "SECRET_NAME=db", "/"]) assert.include(lines, line)
      assert.notMatch(text(stdout), /API_TOKEN|NODE_OPTIONS/)
    })
  )

  it.live("kills the process group at the deadline", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "pid")
      const { status, outcome } = yield* run(
        `trap '' TERM; sleep 1000 & echo $! > ${file}; sleep 1000`,
        300n * millisecond
      )
      assert.deepStrictEqual([status, outcome], ["timed out", "timed out after 300ms, 0 bytes of output"])
      const pid = Number(fs.readFileSync(file, "utf8"))
      const gone = Effect.sync(
        () => !fs.existsSync(`/proc/${pid}`) || / Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"))
      )
      yield* untilTrue(gone)
    })
  )

  it.live("does not wait for background processes of the command", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "pid")
      const [took, { status, stdout }] = yield* Effect.timed(run(`sleep 60 & echo $! > ${file}; echo started`))
      process.kill(Number(fs.readFileSync(file, "utf8")), "SIGKILL")
      assert.deepStrictEqual([status, text(stdout)], ["done", "started\n"])
      assert.isTrue(Duration.isLessThan(took, Duration.seconds(20)))
    })
  )
})
