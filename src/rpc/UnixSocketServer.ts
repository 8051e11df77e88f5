/**
 * Effect's `SocketServer` on a Unix socket: mode 0600 from its first moment, and
 * only its own file removed at the end.
 *
 * The place is free when this is built (`claimSocketPath`), and is watched: a
 * socket file that has gone is put back, connections go on meanwhile. When `run`
 * is interrupted no connection is taken any more, those at rest end at once, and
 * those at work get a moment; what has not ended then is cut off, so no client
 * can hold up the end. Effect's own server has no mode and drops the answer of a
 * client that shuts its side down, which is why this one listens by itself.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as net from "node:net"
import type { SocketAccess } from "../domain/Config.ts"
import { Account, Connections } from "./Connections.ts"
import { heldLimit, mostConnections, takeDeadline } from "./limits.ts"
import { encodeError, holdsTooMuch, noId, tooManyConnections } from "./Protocol.ts"
import { putSocket, takeAway } from "./socketFile.ts"
import { watchSocket } from "./watchSocket.ts"

/** What a request under way may take to be answered once the daemon is told to stop. */
const grace = Duration.millis(500)

/** What Node reads ahead and holds of replies for one connection, before it waits; of its own accord it would be 64 KiB. */
const highWaterMark = 16 * 1024

/** `access` opens it to a group as well; `onRestored` hears when the socket file had gone and was put back. */
export const layer = <E, R>(path: string, access: SocketAccess, onRestored: Effect.Effect<void, E, R>) =>
  Layer.effect(
    SocketServer.SocketServer,
    Effect.gen(function* () {
      const most = mostConnections()
      const stopping = yield* Deferred.make<void>()
      const full = encodeError(noId, tooManyConnections(most))
      const connections = new Connections(heldLimit, encodeError(noId, holdsTooMuch), Deferred.await(stopping))
      let take = refuse

      const makeServer = () =>
        net.createServer({ allowHalfOpen: true, pauseOnConnect: true, highWaterMark }, (connection) => {
          connection.on("error", () => undefined)
          if (connections.size < most) return take(connection)
          connection.write(full)
          connection.destroySoon()
        })
      const place = yield* Effect.acquireRelease(
        Effect.map(putSocket(makeServer(), path, access), (socket) => ({ socket })),
        (place) => Effect.sync(() => takeAway(path, place.socket))
      ).pipe(
        Effect.mapError(
          (cause) => new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
        )
      )
      yield* Effect.forkScoped(watchSocket(path, place, () => putSocket(makeServer(), path, access), onRestored))

      const run = <R, E, A>(
        handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>
      ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
        Effect.acquireUseRelease(
          Scope.make(),
          (scope) =>
            Effect.contextWith((context: Context.Context<R>) => {
              const track = Fiber.runIn(scope)
              take = (connection) => {
                const account = connections.add(connection)
                track(
                  NodeSocket.fromDuplex(Effect.succeed(connection)).pipe(
                    Effect.flatMap(handler),
                    Effect.provideService(Account, account),
                    Effect.ignoreCause({ log: "Warn", message: "a connection broke down" }),
                    Effect.ensuring(end(connection, account)),
                    Effect.ensuring(Effect.sync(() => connections.remove(connection))),
                    Effect.runForkWith(context)
                  )
                )
              }
              return Effect.never
            }),
          (scope) =>
            Effect.gen(function* () {
              take = refuse
              yield* Deferred.succeed(stopping, undefined)
              const cutOff = yield* Effect.forkDetach(
                Effect.andThen(
                  Effect.sleep(grace),
                  Effect.sync(() => connections.destroyAll())
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

/** Lets what was written reach the client, and cuts the connection off if the client does not take it. */
const end = (connection: net.Socket, { closed }: Account) =>
  Effect.andThen(
    Effect.sync(() => connection.destroySoon()),
    closed
  ).pipe(
    Effect.interruptible,
    Effect.timeoutOrElse({ duration: takeDeadline, orElse: () => Effect.sync(() => connection.destroy()) })
  )
