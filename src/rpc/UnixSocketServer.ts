/**
 * Effect's `SocketServer` on a Unix socket: mode 0600 from its first moment, and
 * only its own file removed at the end.
 *
 * The place is free when this is built (`claimSocketPath`). When `run` is
 * interrupted no connection is taken any more, those at rest end at once, and
 * those at work get a moment; what has not ended then is cut off, so no client
 * can hold up the end. Effect's own server has no mode and drops the answer of a
 * client that shuts its side down, which is why this one listens by itself.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { promisify } from "node:util"
import type { SocketAccess } from "../domain/Config.ts"

/** What a request under way may take to be answered once the daemon is told to stop. */
const grace = Duration.millis(500)
/** Connections that wait while the daemon is busy. */
const backlog = 1024

/** `access` opens it to a group as well; until then, and else, it is its owner's alone. */
export const layer = (path: string, access: SocketAccess = { mode: 0o600 }) =>
  Layer.effect(
    SocketServer.SocketServer,
    Effect.gen(function* () {
      const connections = new Set<net.Socket>()
      let take = refuse

      const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (connection) => {
        connection.on("error", () => undefined)
        connections.add(connection)
        connection.once("close", () => connections.delete(connection))
        take(connection)
      })
      yield* Effect.acquireRelease(listen(server, path), (file) => close(server, path, file))
      if (access.mode === 0o660) yield* openToGroup(path, access.group)

      const run = <R, E, A>(
        handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>
      ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
        Effect.acquireUseRelease(
          Scope.make(),
          (scope) =>
            Effect.contextWith((context: Context.Context<R>) => {
              const track = Fiber.runIn(scope)
              take = (connection) => {
                track(
                  NodeSocket.fromDuplex(Effect.succeed(connection)).pipe(
                    Effect.flatMap(handler),
                    Effect.ignoreCause({ log: "Warn", message: "a connection broke down" }),
                    Effect.ensuring(Effect.sync(() => connection.destroySoon())),
                    Effect.runForkWith(context)
                  )
                )
              }
              return Effect.never
            }),
          (scope) =>
            Effect.gen(function* () {
              take = refuse
              const cutOff = yield* Effect.forkDetach(
                Effect.andThen(
                  Effect.sleep(grace),
                  Effect.sync(() => connections.forEach((connection) => connection.destroy()))
                )
              )
              yield* Scope.close(scope, Exit.void)
              yield* Fiber.interrupt(cutOff)
            })
        )

      return SocketServer.SocketServer.of({ address: NetAddress.unixPathAddress(path), run })
    })
  )

const refuse = (connection: net.Socket): void => void connection.destroy()

/** The identity of the socket file, to know it again. */
interface SocketFile {
  readonly dev: number
  readonly ino: number
}

const listen = (server: net.Server, path: string) =>
  Effect.callback<SocketFile, SocketServer.SocketServerError>((resume) => {
    const fail = (cause: unknown) =>
      resume(
        Effect.fail(new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) }))
      )
    server.once("error", fail)
    // bind(2) happens within listen(), so this mask makes the socket 0600 from birth.
    const mask = process.umask(0o177)
    try {
      server.listen({ path, backlog }, () => {
        server.off("error", fail)
        server.on("error", () => undefined)
        resume(Effect.sync(() => fs.statSync(path)))
      })
    } finally {
      process.umask(mask)
    }
  })

/** Node cannot look a group up by its name; chgrp can. */
const openToGroup = (path: string, group: string) =>
  Effect.tryPromise({
    try: async () => {
      await execFile("chgrp", ["--", group, path], { env: { PATH: "/usr/bin:/bin" } })
      await fs.promises.chmod(path, 0o660)
    },
    catch: () =>
      new SocketServer.SocketServerError({
        reason: new SocketServer.SocketServerOpenError({
          cause: new Error(`the group ${group} cannot be given to ${path}; is there such a group, and are you in it?`)
        })
      })
  })

const execFile = promisify(childProcess.execFile)

/** Closing unlinks whatever has the name, so a socket that took our place keeps us from closing; the process ends anyway. */
const close = (server: net.Server, path: string, own: SocketFile) =>
  Effect.callback<void>((resume) => {
    const found = fs.statSync(path, { throwIfNoEntry: false })
    if (found !== undefined && (found.dev !== own.dev || found.ino !== own.ino)) {
      server.unref()
      resume(Effect.void)
      return
    }
    server.close()
    resume(Effect.void)
  })
