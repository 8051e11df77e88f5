/**
 * Events through a stand-in `joelclaw` that records them, and through ones that hang,
 * fail, flood or do not exist.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { findJoelclaw } from "../../src/otel/findJoelclaw.ts"
import { startJoelclaw } from "../../src/otel/joelclaw.ts"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"
import { OtelSink, sinkLayer } from "../../src/otel/OtelSink.ts"
import { event, offerNow } from "../support/event.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually, until } from "../support/waiting.ts"

/** Writes a shell script named joelclaw into its own directory. */
const fakeJoelclaw = (script: string) =>
  Effect.map(temporaryDirectory, (directory) => {
    const command = path.join(directory, "joelclaw")
    fs.writeFileSync(command, `#!/bin/sh\n${script.replaceAll("$OUT", directory)}\n`, { mode: 0o755 })
    return { command, directory, read: (name: string) => fs.readFileSync(path.join(directory, name), "utf8") }
  })

const recordingScript = 'cat >> "$OUT/events"; echo >> "$OUT/events"; echo \'{"ok":true}\''

const recordedEvents = (directory: string): ReadonlyArray<Record<string, any>> => {
  const file = path.join(directory, "events")
  if (!fs.existsSync(file)) return []
  return fs
    .readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
}

const withSink = <A, E>(
  command: string,
  program: Effect.Effect<A, E, OtelSink>,
  options: { emitTimeout?: number; shutdownTimeout?: number; environment?: Record<string, string> } = {}
) =>
  program.pipe(
    Effect.provide(
      Layer.effect(
        OtelSink,
        Effect.map(
          startJoelclaw({
            command,
            environment: options.environment ?? { PATH: "/usr/bin:/bin" },
            emitTimeout: options.emitTimeout ?? 5000,
            shutdownTimeout: options.shutdownTimeout ?? 5000
          }),
          ({ offer, state }) => ({
            emit: offerNow(offer),
            dropped: Effect.map(state, (single) => single.dropped),
            state: Effect.map(state, (single) => [single])
          })
        )
      )
    )
  )

const emitAll = (...events: ReadonlyArray<OtelEvent>) =>
  OtelSink.use((sink) => Effect.forEach(events, sink.emit, { discard: true }))

const dropped = OtelSink.use((sink) => sink.dropped)

// Concurrent, because they mostly wait for pauses.
describe.concurrent("events through joelclaw", () => {
  it.live("arrive one at a time, as JSON on standard input, with id, timestamp and source", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* fakeJoelclaw(recordingScript)
      yield* withSink(command, emitAll(event(1), event(2), event(3)))
      const received = recordedEvents(directory)
      assert.deepStrictEqual(
        received.map(({ metadata }) => metadata.n),
        [1, 2, 3]
      )
      const { id, timestamp, ...rest } = received[0] ?? {}
      assert.match(id, /^[0-9a-f-]{36}$/)
      assert.isAtMost(Math.abs(timestamp - Date.now()), 60_000)
      assert.deepStrictEqual(rest, { ...event(1), source: "agent-secrets" })
    })
  )

  it.live("are sent with fixed arguments, from /, with a session id and a PATH that contains /usr/bin", () =>
    Effect.gen(function* () {
      const fake = yield* fakeJoelclaw(
        `cat > /dev/null; { echo "$*"; pwd; echo "$SLOG_SESSION_ID $OTEL_EMIT_URL $NODE_OPTIONS $PATH"; } > $OUT/how; echo '{"ok":true}'`
      )
      const environment = { PATH: "/opt/x", OTEL_EMIT_URL: "http://127.0.0.1:9/", NODE_OPTIONS: "--inspect" }
      yield* withSink(fake.command, emitAll(event(1)), { environment })
      const [args, directory, variables = ""] = fake.read("how").split("\n")
      assert.deepStrictEqual([args, directory], ["otel emit", "/"])
      assert.match(variables, /^agent-secrets http:\/\/127\.0\.0\.1:9\/ {2}\/opt\/x:.*:\/usr\/bin:\/bin$/)
    })
  )

  it.live("are sent with the variables that joelclaw reads, and none of our others", () =>
    Effect.gen(function* () {
      const fake = yield* fakeJoelclaw(`cat > /dev/null; env > $OUT/env; echo '{"ok":true}'`)
      const read = {
        HOME: "/h",
        OTEL_EMIT_TOKEN: "theirs",
        JOELCLAW_OTEL_INGEST_URL: "http://127.0.0.1:9/",
        SLOG_SYSTEM_ID: "s",
        no_proxy: "127.0.0.1"
      }
      const others = { GITHUB_TOKEN: "hush", OTEL_EXPORTER_OTLP_HEADERS: "key=hush", LD_PRELOAD: "", NODE_OPTIONS: "" }
      yield* withSink(fake.command, emitAll(event(1)), { environment: { PATH: "bin:/usr/bin", ...read, ...others } })
      const lines = fake.read("env").split("\n")
      for (const [name, value] of Object.entries(read)) assert.include(lines, `${name}=${value}`)
      assert.include(lines, `PATH=/usr/bin:${fake.directory}:/bin`)
      assert.deepStrictEqual(
        Object.keys(others).filter((name) => lines.some((line) => line.startsWith(`${name}=`))),
        []
      )
    })
  )

  it.live("continue after a joelclaw that hangs is killed with its process group", () =>
    Effect.gen(function* () {
      const fake = yield* fakeJoelclaw(
        `trap '' TERM INT HUP\nif [ ! -e $OUT/hung ]; then sleep 1000 & echo $! > $OUT/hung; wait; fi\n${recordingScript}`
      )
      yield* withSink(
        fake.command,
        Effect.gen(function* () {
          yield* emitAll(event(1), event(2))
          yield* until(() => recordedEvents(fake.directory).length >= 1)
        }),
        { emitTimeout: 2000 }
      )
      assert.strictEqual(recordedEvents(fake.directory)[0]?.["metadata"].n, 2)
      const grandchild = Number(fake.read("hung"))
      yield* until(() => !isAlive(grandchild))
    })
  )

  for (const [behavior, script] of [
    ["exits 1", "exit 1"],
    ["reports ok: false", 'cat > /dev/null; echo \'{"ok":false,"error":{"code":"OTEL_EMIT_FAILED"}}\''],
    ["writes invalid output", "cat > /dev/null; echo nonsense"],
    ["floods its output", "cat > /dev/null; head -c 3000000 /dev/zero"],
    ["does not read its input", "echo '{\"ok\":false}'"]
  ] as const) {
    it.live(`are dropped, with one log line, if joelclaw ${behavior}`, () =>
      Effect.gen(function* () {
        const { command } = yield* fakeJoelclaw(script)
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const allDropped = eventually(dropped, (count) => count === 3)
        const emitThree = Effect.andThen(emitAll(event(1), event(2), event(3)), allDropped)
        yield* withSink(command, emitThree).pipe(Effect.provide(Logger.layer([logger])))
        assert.strictEqual(lines.length, 1, lines.join("\n"))
        assert.match(lines[0] ?? "", /^events: joelclaw fails \(.+\); retrying with increasing pauses$/)
      })
    )
  }

  it.live("are accepted immediately while joelclaw hangs, and shutdown does not wait for it", () =>
    Effect.gen(function* () {
      const { command } = yield* fakeJoelclaw("trap '' TERM; sleep 1000")
      const [took, droppedCount] = yield* Effect.timed(
        withSink(command, Effect.andThen(emitAll(...Array.from({ length: 10_000 }, (_, n) => event(n))), dropped), {
          emitTimeout: 3_600_000,
          shutdownTimeout: 100
        })
      )
      // All but those in the queue, and the one that may be in flight.
      assert.isTrue(droppedCount === 10_000 - 256 || droppedCount === 10_000 - 257, `${droppedCount}`)
      // Waiting for one of them would take the hour of the timeout.
      assert.isTrue(Duration.isLessThan(took, Duration.seconds(30)))
    })
  )
})

describe("a joelclaw that is installed later", () => {
  it.effect("is found, and gets daemon.started but not the events in between", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* fakeJoelclaw(recordingScript)
      fs.renameSync(command, `${command}.away`)
      const program = Effect.gen(function* () {
        const { emit, state } = yield* OtelSink
        yield* emit({ ...event(1), action: "daemon.started", component: "daemon" })
        yield* emit(event(2))
        yield* TestClock.adjust("29 seconds")
        fs.renameSync(`${command}.away`, command)
        assert.isUndefined((yield* state)[0]?.target)
        yield* TestClock.adjust("1 second")
        yield* TestClock.withLive(until(() => recordedEvents(directory).length === 1))
        assert.deepStrictEqual((yield* state)[0]?.target, command)
        assert.strictEqual(recordedEvents(directory)[0]?.["action"], "daemon.started")
      })
      const environment = { JOELCLAW_BIN: command, PATH: "/usr/bin:/bin" }
      const layer = sinkLayer({ environment, sampling: { minLevel: "debug", debugPerMinute: 12 } })
      yield* Effect.provide(program, Layer.provide(layer, NodeServices.layer))
    })
  )
})

describe("findJoelclaw", () => {
  it.live("prefers JOELCLAW_BIN to the PATH, and the PATH to the usual directories", () =>
    Effect.gen(function* () {
      const [named, onPath, home] = [
        yield* fakeJoelclaw("true"),
        yield* fakeJoelclaw("true"),
        yield* temporaryDirectory
      ]
      const usual = path.join(home, ".bun/bin/joelclaw")
      fs.mkdirSync(path.dirname(usual), { recursive: true })
      fs.writeFileSync(usual, "#!/bin/sh\n", { mode: 0o755 })
      const environment = { JOELCLAW_BIN: named.command, PATH: `/nonexistent:${onPath.directory}`, HOME: home }
      assert.strictEqual(yield* findJoelclaw(environment), named.command)
      assert.strictEqual(yield* findJoelclaw({ ...environment, JOELCLAW_BIN: "" }), onPath.command)
      assert.strictEqual(yield* findJoelclaw({ HOME: home, PATH: "/nonexistent" }), usual)
    })
  )

  it.live("returns undefined if there is no executable file", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* fakeJoelclaw("true")
      fs.chmodSync(command, 0o644)
      assert.isUndefined(yield* findJoelclaw({ PATH: directory, HOME: "/nonexistent" }))
      assert.isUndefined(yield* findJoelclaw({ JOELCLAW_BIN: "/nonexistent/joelclaw", HOME: "/nonexistent" }))
      assert.isUndefined(yield* findJoelclaw({}))
    })
  )
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !fs.readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z")
  } catch {
    return false
  }
}
