/**
 * The server of the Unix sockets: of our own, and of those that the supervisor passes. What
 * a connection may do is decided by the socket that accepted it.
 *
 * Connections that arrive before `run` wait for it. When `run` is interrupted, those that wait are accepted and no
 * more; new clients and requests at work get a moment for their reply. Effect's own
 * server has no mode and loses the reply to a half-closed client.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as net from "node:net"
import type { Caller } from "../../domain/Caller.ts"
import type { SocketAccess } from "../../domain/ListenSocket.ts"
import { maxBufferedBytes, writeTimeout, yieldsPerTurn } from "../protocol/limits.ts"
import { encodeError, memoryExceeded, noId, tooManyConnections } from "../protocol/Protocol.ts"
import type { ActivatedSocket } from "./activatedSocket.ts"
import { Connections, ConnectionState, maxConnections, PendingConnections, serverOptions } from "./Connections.ts"
import { connectionSocket } from "./connectionSocket.ts"
import { bindSocket, unlinkSocket, watchActivatedSocket, watchSocket } from "./socketFile.ts"

/** The shutdown grace: the time limit for requests in progress. The whole shutdown has two seconds. */
const drainTimeout = Duration.seconds(1)

/** The time limit for accepting the clients that have connected before a shutdown. */
const acceptTimeout = Duration.millis(500)

/** The time limit for their first requests. */
const firstRequestGrace = Duration.millis(250)

interface Listener {
  readonly caller: Caller
  readonly pending: PendingConnections
  /** Stops accepting. */
  readonly close: () => void
}

export interface SocketOptions<E, R> {
  readonly path: string
  /** Who its connections come from. */
  readonly caller: Caller
  /** Opens it to a group as well. */
  readonly access: SocketAccess
  /** Runs when the socket file was restored. */
  readonly onRestored: Effect.Effect<void, E, R>
  readonly activated: ActivatedSocket | undefined
}

/** Connections that only the owner may open, so that no worker keeps the owner out. */
const maxReserved = 16

/** Serves all sockets; they are bound in their order. */
export const layerUnixSockets = <E, R>(sockets: ReadonlyArray<SocketOptions<E, R>>) =>
  Layer.effect(
    SocketServer.SocketServer,
    Effect.gen(function* () {
      const limit = maxConnections()
      const stopping = yield* Deferred.make<void>()
      const reject = makeRejector(encodeError(noId, tooManyConnections(limit)))
      const connections = new Connections(maxBufferedBytes, encodeError(noId, memoryExceeded), Deferred.await(stopping))
      // Two sockets may share the name that they have before they are renamed.
      const binding = yield* Semaphore.make(1)
      const listeners = yield* Effect.forEach(sockets, (options) =>
        Effect.mapError(
          options.activated === undefined
            ? listenOnOwn(options, binding)
            : listenOnActivated(options, options.activated),
          (cause) => new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
        )
      )
      const reserved = listeners.length === 1 ? 0 : Math.min(maxReserved, Math.floor(limit / 8))

      const run = <R, E, A>(
        handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>
      ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
        Effect.acquireUseRelease(
          // One connection that is not read would otherwise keep the others open at a stop.
          Scope.make("parallel"),
          (scope) =>
            Effect.contextWith((context: Context.Context<R>) => {
              const track = Fiber.runIn(scope)
              const serve = (caller: Caller) => (connection: net.Socket) => {
                if (connections.size >= (caller.role === "owner" ? limit : limit - reserved)) {
                  track(Effect.runForkWith(context)(reject(connection)))
                  return
                }
                const state = connections.add(connection, caller)
                track(
                  handler(connectionSocket(connection)).pipe(
                    Effect.provideService(ConnectionState, state),
                    Effect.ignoreCause({ log: "Warn", message: "a connection failed" }),
                    Effect.ensuring(end(connection, state)),
                    Effect.ensuring(Effect.sync(() => connections.remove(connection))),
                    Effect.runForkWith(context)
                  )
                )
              }
              for (const { caller, pending } of listeners) pending.serve(serve(caller))
              return Effect.never
            }),
          (scope) =>
            Effect.gen(function* () {
              yield* Effect.timeoutOption(Effect.interruptible(acceptBacklog(listeners)), acceptTimeout)
              for (const { close, pending } of listeners) {
                close()
                pending.pause()
              }
              yield* Effect.timeoutOption(Effect.interruptible(connections.allServed), firstRequestGrace)
              yield* Deferred.succeed(stopping, undefined)
              connections.endWaits()
              const destroyAll = yield* Effect.forkDetach(
                Effect.andThen(
                  Effect.sleep(drainTimeout),
                  Effect.sync(() => connections.destroyAll())
                )
              )
              yield* Scope.close(scope, Exit.void)
              yield* Fiber.interrupt(destroyAll)
            })
        )

      return SocketServer.SocketServer.of({ address: NetAddress.unixPathAddress(sockets[0]?.path ?? ""), run })
    })
  )

/** Accepts the clients that connected before the shutdown. Node accepts one in a turn of its event loop. */
const acceptBacklog = Effect.fnUntraced(function* (listeners: ReadonlyArray<Listener>) {
  const accepted = () => listeners.reduce((sum, { pending }) => sum + pending.accepted, 0)
  let before: number
  do {
    before = accepted()
    yield* Effect.repeat(Effect.yieldNow, { times: yieldsPerTurn })
  } while (accepted() > before)
})

const listenOnOwn = Effect.fnUntraced(function* <E, R>(
  { access, caller, onRestored, path }: SocketOptions<E, R>,
  binding: Semaphore.Semaphore
) {
  const pending = new PendingConnections()
  const bind = () =>
    Semaphore.withPermit(binding)(bindSocket(net.createServer(serverOptions, pending.accept), path, access))
  const own = yield* Effect.acquireRelease(
    Effect.map(bind(), (socket) => ({ socket })),
    (own) =>
      Effect.sync(() => {
        unlinkSocket(path, own.socket)
        pending.end()
      })
  )
  yield* Effect.forkScoped(watchSocket(path, own, bind, onRestored))
  return { caller, pending, close: () => void own.socket.server.close() } satisfies Listener
})

const listenOnActivated = Effect.fnUntraced(function* <E, R>(
  { caller, path }: SocketOptions<E, R>,
  activated: ActivatedSocket
) {
  yield* activated.listen
  yield* Effect.forkScoped(watchActivatedSocket(path))
  return { caller, pending: activated.pending, close: () => activated.close() } satisfies Listener
})

/** Sends what was written, and closes the connection; at once if the client does not read it in time. */
const end = (connection: net.Socket, { closed }: ConnectionState) =>
  Effect.suspend(() => {
    connection.destroySoon()
    if (connection.writableLength === 0) return Effect.void
    return Effect.timeoutOrElse(Effect.interruptible(closed), {
      duration: writeTimeout,
      orElse: () => Effect.sync(() => connection.destroy())
    })
  })

const lingerTime = Duration.millis(250)
const maxLingering = 2

/**
 * Rejects connections with a reply. A client that sends at once could find its connection closed before it has read that, so
 * its input is discarded for a moment. Few get that at a time: each uses one of the daemon's spare files.
 */
export const makeRejector = (reply: string) => {
  let lingering = 0
  return (connection: net.Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      connection.end(reply)
      if (lingering >= maxLingering) return Effect.sync(() => connection.destroySoon())
      lingering += 1
      return Effect.ensuring(
        Effect.timeoutOption(gone(connection), lingerTime),
        Effect.sync(() => {
          lingering -= 1
          connection.destroy()
        })
      )
    })
}

/** Reads until the client closes. */
const gone = (connection: net.Socket) =>
  Effect.callback<void>((resume) => {
    connection.once("close", () => resume(Effect.void))
    connection.resume()
  })
