/**
 * Watches the place of the socket and puts the socket back when it has gone.
 *
 * A daemon whose socket file was removed looks healthy and hears nobody. What was
 * put in its place meanwhile is left alone, and may go again. Each change is told
 * once. The file of a socket that a supervisor handed over is the supervisor's to
 * put back; of that it is only told.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { SocketFile } from "./socketFile.ts"
import { inspectSocket, type SocketFileError } from "./socketFile.ts"

/** It is back within five seconds. One look wakes the process, which takes more than to look. */
const interval = Duration.seconds(4)

/** Never ends; `place` is changed to the socket that was put in place of the one before. */
export const watchSocket = <E, R>(
  path: string,
  place: { socket: SocketFile },
  put: () => Effect.Effect<SocketFile, SocketFileError>,
  onRestored: Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    let told = ""
    const tell = (message: string) =>
      message === told
        ? Effect.void
        : Effect.andThen(
            Effect.sync(() => (told = message)),
            Effect.logWarning(message)
          )

    const putBack = Effect.gen(function* () {
      const socket = yield* put()
      place.socket.server.close()
      place.socket = socket
      yield* tell(`the socket ${path} had gone; it is there again`)
      told = ""
      yield* Effect.ignore(onRestored)
    }).pipe(
      Effect.uninterruptible,
      Effect.catchTag("SocketFileError", (error) => tell(`the socket ${path} has gone: ${error.message}`))
    )

    while (true) {
      yield* Effect.sleep(interval)
      const owner = yield* inspectSocket(path, place.socket)
      if (owner === "free") yield* putBack
      else if (owner === "taken") {
        yield* tell(`something else is at the place of the socket ${path}; remove it, and the socket comes back`)
      } else if (told !== "") {
        yield* Effect.logInfo(`the socket ${path} is in its place again`)
        told = ""
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
      ? Effect.logInfo(`the socket ${path} is in its place again`)
      : Effect.logWarning(
          `the socket ${path} has gone; it is the supervisor's, and comes back when its socket unit is restarted`
        )
  }
})

const isSocket = (path: string): boolean => {
  try {
    return fs.lstatSync(path).isSocket()
  } catch {
    return false
  }
}
