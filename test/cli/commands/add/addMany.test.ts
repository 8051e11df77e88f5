/**
 * An import into a daemon of an earlier version, and one without a daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { addMany } from "../../../../src/cli/commands/add/addMany.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

/** A daemon that knows `secrets.add` alone, and has one secret. */
const earlierDaemon = (socketPath: string, calls: Array<string>) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("data", (line) => {
          const { id, method, params } = JSON.parse(String(line))
          calls.push([method, params.name].filter(Boolean).join(" "))
          const outcome =
            method !== "secrets.add"
              ? { error: { code: -32601, message: `method "${method}" not found` } }
              : params.name === "B"
                ? {
                    error: { code: -32603, message: 'secret "B": secret already exists', data: { tag: "SecretExists" } }
                  }
                : { result: { success: true } }
          socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...outcome })}\n`)
        })
      })
      server.listen(socketPath, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const setup = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const file = path.join(directory, ".env")
  fs.writeFileSync(file, "A=1\nB=2\nC=3\n")
  const daemon = { socketPath: path.join(directory, "s"), timeout: Duration.seconds(20) }
  const batch = {
    file,
    prefix: "",
    only: undefined,
    except: [],
    skipEmpty: false,
    update: false,
    dryRun: false,
    project: undefined,
    isTimeoutGiven: true
  }
  return { daemon, batch }
})

describe("an import", () => {
  it.live("adds one secret after the other where the daemon has no method for many", () =>
    Effect.gen(function* () {
      const { batch, daemon } = yield* setup
      const calls: Array<string> = []
      yield* earlierDaemon(daemon.socketPath, calls)
      const { lines, problem } = yield* addMany(daemon, batch)
      assert.deepStrictEqual(calls, [
        "secrets.status",
        "secrets.import",
        "secrets.add A",
        "secrets.add B",
        "secrets.add C"
      ])
      assert.deepStrictEqual(lines, ['added "A"', 'added "C"'])
      assert.deepInclude(problem, {
        message: "1 of 3 secrets were not added",
        why: ['secret "B": secret already exists'],
        exitStatus: 5
      })
    })
  )

  it.live("says that there is no daemon", () =>
    Effect.gen(function* () {
      const { batch, daemon } = yield* setup
      const absent = { ...daemon, returnsSoon: () => Promise.resolve(false) }
      assert.strictEqual((yield* Effect.flip(addMany(absent, batch))).message, "the daemon is not running")
    })
  )
})
