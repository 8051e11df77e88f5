/**
 * Events through a stand-in `joelclaw` that records what it gets, and through ones
 * that hang, fail, flood and are not there: `emit` is the same for all of them.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { findJoelclaw } from "../../src/otel/findJoelclaw.ts"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"
import { OtelSink } from "../../src/otel/OtelSink.ts"
import { sinkLayer } from "../../src/otel/sinkLayer.ts"
import { event } from "../support/event.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** A joelclaw made of a few lines of shell, in a directory of its own. */
const standIn = (script: string) =>
  Effect.map(temporaryDirectory, (directory) => {
    const command = path.join(directory, "joelclaw")
    fs.writeFileSync(command, `#!/bin/sh\n${script.replaceAll("$OUT", directory)}\n`, { mode: 0o755 })
    return { command, directory, read: (name: string) => fs.readFileSync(path.join(directory, name), "utf8") }
  })

const recording = 'cat >> "$OUT/events"; echo >> "$OUT/events"; echo \'{"ok":true}\''

const recorded = (directory: string): ReadonlyArray<Record<string, any>> => {
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
  options: { deadline?: number; farewell?: number; environment?: Record<string, string> } = {}
) =>
  program.pipe(
    Effect.provide(
      OtelSink.layerJoelclaw({
        command,
        environment: options.environment ?? { PATH: "/usr/bin:/bin" },
        deadline: options.deadline ?? 5000,
        farewell: options.farewell ?? 5000
      }).pipe(Layer.provide(NodeServices.layer))
    )
  )

const emitAll = (...events: ReadonlyArray<OtelEvent>) =>
  OtelSink.use((sink) => Effect.forEach(events, sink.emit, { discard: true }))

const dropped = OtelSink.use((sink) => sink.dropped)

const eventually = <A>(look: () => A, good: (found: A) => boolean) =>
  Effect.sync(look).pipe(
    Effect.repeat({ until: good, schedule: Schedule.spaced("10 millis") }),
    Effect.timeout("10 seconds")
  )

// Side by side, for most of their time is the pauses between tries.
describe.concurrent("events through joelclaw", () => {
  it.live("arrive one by one, as JSON on standard input, with id, time and source", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* standIn(recording)
      yield* withSink(command, emitAll(event(1), event(2), event(3)))
      const got = recorded(directory)
      assert.deepStrictEqual(
        got.map(({ metadata }) => metadata.n),
        [1, 2, 3]
      )
      const { id, timestamp, ...rest } = got[0] ?? {}
      assert.match(id, /^[0-9a-f-]{36}$/)
      assert.isAtMost(Math.abs(timestamp - Date.now()), 60_000)
      assert.deepStrictEqual(rest, { ...event(1), source: "agent-secrets" })
    })
  )

  it.live("are sent with fixed words, from /, with a session and a PATH that has /usr/bin", () =>
    Effect.gen(function* () {
      const stand = yield* standIn(
        `cat > /dev/null; { echo "$*"; pwd; echo "$SLOG_SESSION_ID $OTEL_EMIT_URL $NODE_OPTIONS $PATH"; } > $OUT/how; echo '{"ok":true}'`
      )
      const environment = { PATH: "/opt/x", OTEL_EMIT_URL: "http://127.0.0.1:9/", NODE_OPTIONS: "--inspect" }
      yield* withSink(stand.command, emitAll(event(1)), { environment })
      const [words, directory, surroundings = ""] = stand.read("how").split("\n")
      assert.deepStrictEqual([words, directory], ["otel emit", "/"])
      assert.match(surroundings, /^agent-secrets http:\/\/127\.0\.0\.1:9\/ {2}\/opt\/x:.*:\/usr\/bin:\/bin$/)
    })
  )

  it.live("that hang are killed with all their processes, and the next one is sent", () =>
    Effect.gen(function* () {
      const stand = yield* standIn(
        `trap '' TERM INT HUP\nif [ ! -e $OUT/hung ]; then sleep 1000 & echo $! > $OUT/hung; wait; fi\n${recording}`
      )
      yield* withSink(
        stand.command,
        Effect.gen(function* () {
          yield* emitAll(event(1), event(2))
          yield* eventually(
            () => recorded(stand.directory).length,
            (count) => count >= 1
          )
        }),
        { deadline: 2000 }
      )
      assert.strictEqual(recorded(stand.directory)[0]?.["metadata"].n, 2)
      const grandchild = Number(stand.read("hung"))
      yield* eventually(
        () => isAlive(grandchild),
        (alive) => !alive
      )
    })
  )

  for (const [manner, script] of [
    ["exits 1", "exit 1"],
    ["says ok: false", 'cat > /dev/null; echo \'{"ok":false,"error":{"code":"OTEL_EMIT_FAILED"}}\''],
    ["answers nonsense", "cat > /dev/null; echo nonsense"],
    ["floods its output", "cat > /dev/null; head -c 3000000 /dev/zero"],
    ["does not read what it gets", "echo '{\"ok\":false}'"]
  ] as const) {
    it.live(`are lost, with one line about it, where joelclaw ${manner}`, () =>
      Effect.gen(function* () {
        const { command } = yield* standIn(script)
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const allLost = Effect.repeat(dropped, { until: (count) => count === 3, schedule: Schedule.spaced("5 millis") })
        const emitThree = Effect.andThen(emitAll(event(1), event(2), event(3)), Effect.timeout(allLost, "10 seconds"))
        yield* withSink(command, emitThree).pipe(Effect.provide(Logger.layer([logger])))
        assert.strictEqual(lines.length, 1, lines.join("\n"))
        assert.match(lines[0] ?? "", /^events: joelclaw fails \(.+\); there are pauses until it works$/)
      })
    )
  }

  it.live("are taken at once, however long joelclaw hangs, and the end does not wait for it either", () =>
    Effect.gen(function* () {
      const { command } = yield* standIn("trap '' TERM; sleep 1000")
      const [took, lost] = yield* Effect.timed(
        withSink(command, Effect.andThen(emitAll(...Array.from({ length: 100_000 }, (_, n) => event(n))), dropped), {
          deadline: 60_000,
          farewell: 100
        })
      )
      // All but those that fit into the queue, and the one that may be on its way.
      assert.isTrue(lost === 100_000 - 256 || lost === 100_000 - 257, `${lost}`)
      // Waiting for even one of them would take the minute of the deadline.
      assert.isTrue(Duration.isLessThan(took, Duration.seconds(30)))
    })
  )
})

describe("a joelclaw that comes later", () => {
  it.effect("is found, and gets the daemon's start but not what came between", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* standIn(recording)
      fs.renameSync(command, `${command}.away`)
      const program = Effect.gen(function* () {
        const { emit, state } = yield* OtelSink
        yield* emit({ ...event(1), action: "daemon.started", component: "daemon" })
        yield* emit(event(2))
        yield* TestClock.adjust("29 seconds")
        fs.renameSync(`${command}.away`, command)
        assert.isUndefined((yield* state)[0]?.target)
        yield* TestClock.adjust("1 second")
        const waiting = eventually(
          () => recorded(directory).length,
          (count) => count === 1
        )
        yield* TestClock.withLive(waiting)
        assert.deepStrictEqual((yield* state)[0]?.target, command)
        assert.strictEqual(recorded(directory)[0]?.["action"], "daemon.started")
      })
      const environment = { JOELCLAW_BIN: command, PATH: "/usr/bin:/bin" }
      const layer = sinkLayer({ environment, sampling: { minLevel: "debug", debugPerMinute: 12 } })
      yield* Effect.provide(program, Layer.provide(layer, NodeServices.layer))
    })
  )
})

describe("findJoelclaw", () => {
  it.live("takes JOELCLAW_BIN before the PATH, and the PATH before the usual places", () =>
    Effect.gen(function* () {
      const [named, onPath, home] = [yield* standIn("true"), yield* standIn("true"), yield* temporaryDirectory]
      const usual = path.join(home, ".bun/bin/joelclaw")
      fs.mkdirSync(path.dirname(usual), { recursive: true })
      fs.writeFileSync(usual, "#!/bin/sh\n", { mode: 0o755 })
      const everything = { JOELCLAW_BIN: named.command, PATH: `/nonexistent:${onPath.directory}`, HOME: home }
      assert.strictEqual(yield* findJoelclaw(everything), named.command)
      assert.strictEqual(yield* findJoelclaw({ ...everything, JOELCLAW_BIN: "" }), onPath.command)
      assert.strictEqual(yield* findJoelclaw({ HOME: home, PATH: "/nonexistent" }), usual)
    })
  )

  it.live("finds nothing where there is nothing that can be run", () =>
    Effect.gen(function* () {
      const { command, directory } = yield* standIn("true")
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
