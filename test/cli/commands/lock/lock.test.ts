/**
 * `secrets lock` where the daemon does not reply: the outcome is unknown, and there is a way to be certain.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { lockCommand } from "../../../../src/cli/commands/lock/lock.ts"
import { holdLock } from "../../../../src/daemon/files/fileLock.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

describe.runIf(process.platform === "linux")("a lock", () => {
  it.live("that a daemon does not confirm may come yet, and is certain after its end", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [socketPath, config] = [path.join(directory, "s"), path.join(directory, "config.json")]
      fs.writeFileSync(config, JSON.stringify({ directory, socket_path: socketPath }))
      yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer()
          server.listen(socketPath, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      yield* holdLock(path.join(directory, "daemon.lock"))
      const parsed = lockCommand.parse(["--config", config, "--timeout", "0.05"])
      if (parsed.kind !== "run") return assert.fail(parsed.kind)
      const failed = yield* Effect.flip(parsed.run())
      assert.deepInclude(failed, {
        message: "the daemon did not reply within 0.05 s",
        why: "it may lock the store later, or not",
        fix: `To lock it for certain: kill -9 ${process.pid}, then secrets lock`,
        exitStatus: 6
      })
    })
  )
})
