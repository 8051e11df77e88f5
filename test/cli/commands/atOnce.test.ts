/**
 * Commands of several requests beside a slow daemon: they send them at once, so that they take the time of one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as net from "node:net"
import * as path from "node:path"
import { commands } from "../../../src/cli/commands.ts"
import { probeDaemon } from "../../../src/cli/commands/service/probeDaemon.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

/** A daemon that answers nothing; returns its socket, and the methods that it was asked for. */
const silent = Effect.gen(function* () {
  const socketPath = path.join(yield* temporaryDirectory, "s")
  const asked: Array<string> = []
  const connections: Array<net.Socket> = []
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((connection) => {
        connections.push(connection)
        connection.on("data", (line) => asked.push(JSON.parse(String(line)).method))
      })
      server.listen(socketPath, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        for (const connection of connections) connection.destroy()
        server.close()
      })
  )
  return { socketPath, asked }
})

const run = (words: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [name = "", ...rest] = words
    const command = yield* Effect.promise(() => commands[name]?.() ?? Promise.reject(new Error(name)))
    const parsed = command.parse(rest)
    return parsed.kind === "run" ? yield* parsed.run() : assert.fail(parsed.kind)
  })

const cases: ReadonlyArray<readonly [line: string, methods: ReadonlyArray<string>]> = [
  ["health", ["secrets.health", "secrets.list"]],
  ["revoke --all --drill", ["runs.list", "secrets.handedOut", "secrets.leases", "secrets.list"]],
  ["daemon restart", ["daemon.status", "secrets.status"]],
  ["rotate db", ["secrets.rotate", "secrets.status"]],
  ["revoke --all --rotate", ["secrets.killswitch", "secrets.status"]]
]

describe("beside a daemon that is slow", () => {
  for (const [line, methods] of cases) {
    it.live(`${line} sends its requests at once`, () =>
      Effect.gen(function* () {
        const { asked, socketPath } = yield* silent
        const running = yield* Effect.forkChild(
          Effect.exit(run([...line.split(" "), "--socket", socketPath, "--timeout", "100"]))
        )
        yield* until(() => asked.length === methods.length)
        assert.deepStrictEqual(asked.toSorted(), methods)
        yield* Fiber.interrupt(running)
      })
    )
  }

  it.live("the probe of a service sends its requests at once", () =>
    Effect.gen(function* () {
      const { asked, socketPath } = yield* silent
      const probing = yield* Effect.forkChild(probeDaemon(socketPath))
      yield* until(() => asked.length === 2)
      yield* Fiber.interrupt(probing)
    })
  )
})
