/**
 * The run of a proxy at the daemon: opened on a connection that stays, watched, and opened again with the same tokens after
 * a restart of the daemon.
 *
 * What was revoked is not opened again. The end of the connection is the end of the run, so nothing is left where this
 * process is killed.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { RouteRequest } from "../../../../domain/RouteRequest.ts"
import { call, type DaemonAddress, RequestTimedOut, sharedTimeout } from "../../../../rpc/client/client.ts"
import { type HeldConnection, holdConnection } from "../../../../rpc/client/heldConnection.ts"
import { matchesShape } from "../../../../domain/shape.ts"
import { CommandError, fromClient } from "../../../command/CommandError.ts"
import type { LeaseOriginParams } from "../../../command/leaseOrigin.ts"
import { protocolProblem, refusalProblem } from "../../../command/problems.ts"
import { awaitAnswer } from "../../requests/awaitAnswer.ts"
import { printWarning } from "../requestedSecrets.ts"
import { type Ask, followRun } from "../run/followRun.ts"
import type { News } from "../run/programStates.ts"
import type { KnownRun } from "../run/registerRun.ts"
import { openedExample, type OpenedProxy } from "./openedProxy.ts"

/** A route with the hash of its token. */
export interface TokenRoute extends RouteRequest {
  readonly hash: string
}

export interface WantedProxy {
  readonly daemon: DaemonAddress
  readonly clientId: string
  readonly routes: ReadonlyArray<TokenRoute>
  /** Of the token of CONNECT. */
  readonly connectHash: string
  /** In Go's units; empty for the longest. */
  readonly ttl: string
  readonly origin: LeaseOriginParams
  /** Until when to wait for a person (`endOfWait`). */
  readonly waitUntil: number
  readonly requireDaemon: number | undefined
}

/** A run that is open, or will be again. */
export interface ProgramProxy {
  readonly request: WantedProxy
  readonly known: KnownRun
  /** The last answer of the daemon. */
  opened: OpenedProxy
  /** Undefined while the daemon is away. */
  connection: HeldConnection | undefined
  /** The process id of the program; 0 before it starts. */
  pid: number
  /** What happened to the secrets, for who supervises the program. */
  readonly news: Queue.Queue<News>
  /** The secrets that were revoked or deleted. */
  readonly ended: Set<string>
  /** Whether the run has ended for good. */
  isOver: boolean
}

/** Opens the run, after a person has answered where the policy asks for that. */
export const openRun = Effect.fnUntraced(function* (
  request: WantedProxy
): Effect.fn.Return<ProgramProxy, CommandError> {
  const rest = yield* sharedTimeout(request.daemon)
  const seconds = Duration.toSeconds(request.daemon.timeout)
  // Waits for a daemon that comes back, and explains one that does not.
  yield* Effect.mapError(call(request.daemon, "secrets.status", {}, {}), fromClient)
  const run: ProgramProxy = {
    request,
    known: { runId: undefined, cursor: 0 },
    opened: { run_id: "", cursor: 0, socket: "", expires_at: undefined, routes: [], ca: undefined },
    connection: undefined,
    pid: 0,
    news: yield* Queue.unbounded<News>(),
    ended: new Set(),
    isOver: false
  }
  while (true) {
    const { timeout } = yield* rest
    const reply = yield* openOnce(run).pipe(
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new RequestTimedOut({ seconds })) }),
      Effect.mapError(fromClient)
    )
    if (reply?.error === undefined) {
      return run.connection === undefined
        ? yield* new CommandError(protocolProblem("proxy.open has an unexpected result"))
        : run
    }
    const problem = refusalProblem(reply.error)
    const id = problem.request?.request_id
    if (id === undefined || !(yield* awaitAnswer(request.daemon, [id], request.waitUntil)))
      return yield* new CommandError(problem)
  }
})

/** Opens the run on a new connection, which is kept if the daemon agrees. */
const openOnce = Effect.fnUntraced(function* (run: ProgramProxy) {
  const { clientId, connectHash, daemon, origin, routes, ttl } = run.request
  const onEnd = () => {
    run.connection = undefined
    run.known.runId = undefined
  }
  const hold = (path: string) => holdConnection(path, onEnd)
  const { ownerSocket, socketPath } = daemon
  const connection = yield* ownerSocket === undefined
    ? hold(socketPath)
    : Effect.catchTag(hold(ownerSocket), "DaemonUnavailable", () => hold(socketPath))
  const wanted = routes.flatMap(({ hash, ...route }) =>
    run.ended.has(secretOf(run, route.name)) ? [] : [{ ...route, token_hash: hash }]
  )
  const reply = yield* connection
    .ask("proxy.open", {
      client_id: clientId,
      routes: JSON.stringify(wanted),
      connect_hash: connectHash,
      ttl,
      pid: run.pid,
      ...origin
    })
    .pipe(Effect.onInterrupt(() => Effect.sync(connection.close)))
  if (reply?.error === undefined && matchesShape(reply?.result, openedExample)) {
    run.opened = reply.result
    run.known.runId = reply.result.run_id
    run.known.cursor = reply.result.cursor
    run.connection = connection
  } else connection.close()
  return reply
})

const secretOf = ({ opened }: ProgramProxy, route: string): string =>
  opened.routes.find(({ name }) => name === route)?.secret ?? ""

/** Watches the run until it is over, and opens it again after a restart of the daemon or of its worker. `onOpen` is called back after that. */
export const followProxy = Effect.fnUntraced(function* (run: ProgramProxy, onOpen: () => void) {
  const over = yield* Deferred.make<void>()
  const end = Effect.suspend(() => {
    run.isOver = true
    Deferred.doneUnsafe(over, Effect.void)
    return Effect.never
  })
  const reopen = Effect.gen(function* () {
    if (run.isOver) return yield* end
    // Of a run that is unknown by now.
    run.connection?.close()
    run.connection = undefined
    const reply = yield* Effect.orElseSucceed(openOnce(run), () => undefined)
    if (run.connection !== undefined) onOpen()
    return reply
  })
  const watch = (params: object) => (run.isOver ? end : (run.connection?.ask("runs.watch", params) ?? Effect.undefined))
  const ask: Ask = (method, params) => (method === "runs.watch" ? watch(params) : reopen)
  const following = followRun(ask, {
    run: run.known,
    get pid() {
      return run.pid
    },
    beginParams: () => ({}),
    takeUpParams: () => ({}),
    offer: (news) => {
      note(run, news)
      if (news.because !== "changed") Queue.offerUnsafe(run.news, news)
    },
    requireDaemon: run.request.requireDaemon,
    onRefusal: ({ message }) => printWarning("exec", `the proxy is not opened again: ${message}`)
  })
  yield* Effect.raceFirst(Effect.andThen(following, end), Deferred.await(over))
})

/** Keeps what must not be opened again. */
const note = (run: ProgramProxy, { because, secretName }: News): void => {
  if (because === "changed" || because === "daemon lost") return
  if (secretName !== undefined) run.ended.add(secretName)
  if (secretName === undefined || run.opened.routes.every(({ secret }) => run.ended.has(secret))) run.isOver = true
}
