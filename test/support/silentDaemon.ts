/**
 * A socket that takes connections and answers nothing, as that of a daemon that hangs, and the settings that lead there.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { temporaryDirectory } from "./temporary.ts"

export const silentDaemon = Effect.gen(function* () {
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
  return { directory, socketPath, config }
})
