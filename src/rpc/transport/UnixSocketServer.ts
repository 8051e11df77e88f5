/**
 * Effect's `SocketServer` on a Unix socket: mode 0600 from its first moment, and
 * only its own file removed at the end; or on one that a supervisor hands over.
 *
 * The place is free when this is built (`claimSocketPath`), and is watched: a
 * socket file that has gone is put back, connections go on meanwhile. Those that
 * come before `run` wait for it. When `run` is interrupted the listener takes no
 * more; who was let in and has not asked yet gets a moment to, then those at rest
 * end at once, and those at work get a moment; what has not ended then is cut off,
 * so no client can hold up the end. Effect's own server has no mode and drops the
 * answer of a client that shuts its side down, which is why this one listens by itself.
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
import type { SocketAccess } from "../../domain/Config.ts"
import { PendingConnections, serverOptions } from "./PendingConnections.ts"
import { ConnectionState, Connections } from "./Connections.ts"
import type { ActivatedSocket } from "./activatedSocket.ts"
import { maxBufferedBytes, maxConnections, writeTimeout } from "../protocol/limits.ts"
import { encodeError, memoryExceeded, noId, tooManyConnections } from "../protocol/Protocol.ts"
import { bindSocket, unlinkSocket } from "./socketFile.ts"
import { makeRejector } from "./rejectConnection.ts"
import { watchActivatedSocket, watchSocket } from "./watchSocket.ts"

/** What a request under way may take to be answered once the daemon is told to stop. */
const grace = Duration.millis(500)

/** What a client that was let in has to ask its first thing, for it had no way to know that the daemon would stop. */
const firstWord = Duration.millis(250)

/** Where connections come from, and how no more come. */
interface Listener {
  readonly arrivals: PendingConnections
  readonly close: () => void
}

export interface SocketOptions<E, R> {
  readonly path: string
  /** Opens it to a group as well. */
  readonly access: SocketAccess
  /** Hears when the socket file had gone and was put back. */
  readonly onRestored: Effect.Effect<void, E, R>
  /** The socket that a supervisor listens on for us. */
  readonly activated: ActivatedSocket | undefined
}

export const layerUnixSocket = <E, R>(place: SocketOptions<E, R>) =>
  Layer.effect(
    SocketServer.SocketServer,
    Effect.gen(function* () {
      const most = maxConnections()
      const stopping = yield* Deferred.make<void>()
      const turnAway = makeRejector(encodeError(noId, tooManyConnections(most)))
      const connections = new Connections(maxBufferedBytes, encodeError(noId, memoryExceeded), Deferred.await(stopping))
      const listener = yield* Effect.mapError(
        place.activated === undefined ? putListener(place) : listenOn(place.activated, place.path),
        (cause) => new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
      )

      const run = <R, E, A>(
        handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>
      ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
        Effect.acquireUseRelease(
          Scope.make(),
          (scope) =>
            Effect.contextWith((context: Context.Context<R>) => {
              const track = Fiber.runIn(scope)
              listener.arrivals.serve((connection) => {
                if (connections.size >= most) {
                  track(Effect.runForkWith(context)(turnAway(connection)))
                  return
                }
                const account = connections.add(connection)
                track(
                  NodeSocket.fromDuplex(Effect.succeed(connection)).pipe(
                    Effect.flatMap(handler),
                    Effect.provideService(ConnectionState, account),
                    Effect.ignoreCause({ log: "Warn", message: "a connection broke down" }),
                    Effect.ensuring(end(connection, account)),
                    Effect.ensuring(Effect.sync(() => connections.remove(connection))),
                    Effect.runForkWith(context)
                  )
                )
              })
              return Effect.never
            }),
          (scope) =>
            Effect.gen(function* () {
              listener.close()
              listener.arrivals.pause()
              yield* Effect.timeoutOption(Effect.interruptible(connections.allServed), firstWord)
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

      return SocketServer.SocketServer.of({ address: NetAddress.unixPathAddress(place.path), run })
    })
  )

/** A socket of our own, which is put back when it is lost, and removed at the end. */
const putListener = Effect.fnUntraced(function* <E, R>({ access, onRestored, path }: SocketOptions<E, R>) {
  const arrivals = new PendingConnections()
  const put = () => bindSocket(net.createServer(serverOptions, arrivals.accept), path, access)
  const own = yield* Effect.acquireRelease(
    Effect.map(put(), (socket) => ({ socket })),
    (own) =>
      Effect.sync(() => {
        unlinkSocket(path, own.socket)
        arrivals.end()
      })
  )
  yield* Effect.forkScoped(watchSocket(path, own, put, onRestored))
  return { arrivals, close: () => void own.socket.server.close() } satisfies Listener
})

/** The supervisor's socket, whose file is none of our business. */
const listenOn = Effect.fnUntraced(function* (activated: ActivatedSocket, path: string) {
  yield* activated.listen
  yield* Effect.forkScoped(watchActivatedSocket(path))
  return { arrivals: activated.arrivals, close: () => activated.close() } satisfies Listener
})

/** Lets what was written reach the client, and cuts the connection off if the client does not take it. */
const end = (connection: net.Socket, { closed }: ConnectionState) =>
  Effect.andThen(
    Effect.sync(() => connection.destroySoon()),
    closed
  ).pipe(
    Effect.interruptible,
    Effect.timeoutOrElse({ duration: writeTimeout, orElse: () => Effect.sync(() => connection.destroy()) })
  )
