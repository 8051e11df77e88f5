/**
 * `secrets daemon stop` with a program on the socket that names another process as the daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { stopUnmanaged } from "../../../../src/cli/commands/service/stopUnmanaged.ts"
import { holdLock } from "../../../../src/daemon/files/fileLock.ts"
import { returnsNever } from "../../../../src/rpc/client/client.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"
import { silentDaemon } from "../../../support/silentDaemon.ts"

/** A process whose arguments are those of a daemon, as far as `ps` shows. */
const lookalike = Effect.acquireRelease(
  Effect.sync(() => spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "secrets", "serve"])),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

/** A program that answers every request with this number of a process. */
const answering = (socketPath: string, { pid }: ChildProcess) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("data", (line) => {
          const { id } = JSON.parse(String(line))
          socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: { pid } })}\n`)
        })
      })
      server.listen(socketPath, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

describe("a stop without a supervisor", () => {
  it.live("ends no process that does not hold the daemon's lock", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [socketPath, config] = [path.join(directory, "s"), path.join(directory, "config.json")]
      fs.writeFileSync(config, JSON.stringify({ directory, socket_path: socketPath }))
      const child = yield* lookalike
      yield* answering(socketPath, child)
      const args = { option: (flag: string) => (flag === "config" ? config : undefined) }
      const daemon = { socketPath, timeout: Duration.seconds(20) }
      const expected = `the daemon says that it is process ${child.pid}, and that process does not hold its lock`
      const stopping = Effect.flip(stopUnmanaged(args, daemon))
      assert.strictEqual((yield* stopping).message, expected)
      yield* holdLock(path.join(directory, "daemon.lock"))
      assert.strictEqual((yield* stopping).message, expected)
      assert.isNull(child.signalCode)
    })
  )

  it.live("fails on a daemon that does not answer, which is not one that is not there", () =>
    Effect.gen(function* () {
      const { directory, socketPath, config } = yield* silentDaemon
      const args = { option: (flag: string) => (flag === "config" ? config : undefined) }
      const stopping = Effect.flip(stopUnmanaged(args, { socketPath, timeout: Duration.millis(50) }))
      assert.deepInclude(yield* stopping, { message: "the daemon did not reply within 0.05 s", exitStatus: 6 })
      yield* holdLock(path.join(directory, "daemon.lock"))
      const kill = process.platform === "linux" ? `kill -9 ${process.pid}` : "kill -9 $(lsof -t "
      const { exitStatus, fix } = yield* stopping
      assert.include(fix, `If it stays so, end it; secrets and leases survive: ${kill}`)
      assert.include(fix, `. Start it with: secrets serve --config ${config}`)
      assert.strictEqual(exitStatus, 6)
    })
  )

  it.live("fails on a daemon whose socket is gone while it holds its lock", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [socketPath, config] = [path.join(directory, "s"), path.join(directory, "config.json")]
      fs.writeFileSync(config, JSON.stringify({ directory, socket_path: socketPath }))
      const args = { option: (flag: string) => (flag === "config" ? config : undefined) }
      const stopping = stopUnmanaged(args, { socketPath, timeout: Duration.millis(50), returnsSoon: returnsNever })
      assert.isUndefined(yield* stopping)
      yield* holdLock(path.join(directory, "daemon.lock"))
      assert.deepInclude(yield* Effect.flip(stopping), { code: "daemon_unavailable", exitStatus: 3 })
    })
  )
})
