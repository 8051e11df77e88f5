/**
 * Watches the socket's file and restores the socket when the file is gone.
 *
 * A daemon without its socket file looks healthy and gets no requests. A foreign file in
 * its place is left alone. Each change is logged once. The file of an activated socket is
 * the supervisor's to restore; it is only watched.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { SocketFile } from "./socketFile.ts"
import { inspectSocket, type SocketFileError } from "./socketFile.ts"

/** Restores the socket within five seconds; waking the process costs more than the check. */
const interval = Duration.seconds(4)

/** Never ends. `place` gets the new socket. */
export const watchSocket = <E, R>(
  path: string,
  place: { socket: SocketFile },
  bind: () => Effect.Effect<SocketFile, SocketFileError>,
  onRestored: Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    let lastWarning = ""
    const warnOnce = (message: string) =>
      message === lastWarning
        ? Effect.void
        : Effect.andThen(
            Effect.sync(() => (lastWarning = message)),
            Effect.logWarning(message)
          )

    const restore = Effect.gen(function* () {
      const socket = yield* bind()
      place.socket.server.close()
      place.socket = socket
      yield* warnOnce(`the socket file ${path} was gone; it is restored`)
      lastWarning = ""
      yield* Effect.ignore(onRestored)
    }).pipe(
      Effect.uninterruptible,
      Effect.catchTag("SocketFileError", (error) => warnOnce(`the socket file ${path} is gone: ${error.message}`))
    )

    while (true) {
      yield* Effect.sleep(interval)
      const owner = yield* inspectSocket(path, place.socket)
      if (owner === "free") yield* restore
      else if (owner === "taken") {
        yield* warnOnce(`${path} is not this daemon's socket; remove it and the socket will be restored`)
      } else if (lastWarning !== "") {
        yield* Effect.logInfo(`the socket file ${path} is in its place again`)
        lastWarning = ""
      }
    }
  })

/** Never ends. */
export const watchActivatedSocket = Effect.fnUntraced(function* (path: string) {
  let wasThere = true
  while (true) {
    yield* Effect.sleep(interval)
    const isThere = isSocket(path)
    if (isThere === wasThere) continue
    wasThere = isThere
    yield* isThere
      ? Effect.logInfo(`the socket file ${path} is in its place again`)
      : Effect.logWarning(`the socket file ${path} is gone; restart the socket unit of the supervisor to restore it`)
  }
})

const isSocket = (path: string): boolean => {
  try {
    return fs.lstatSync(path).isSocket()
  } catch {
    return false
  }
}
