/**
 * The proxy of a program of `exec`: its run at the daemon, a loopback port for each route, and the variables that lead its
 * clients there. It ends with its scope.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import type * as net from "node:net"
import * as path from "node:path"
import type { RouteRequest } from "../../../../domain/RouteRequest.ts"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { call, sharedTimeout } from "../../../../rpc/client/client.ts"
import { CommandError } from "../../../command/CommandError.ts"
import { printNotice, reasonOf } from "../../../command/Output.ts"
import { firstExpiry, revokeTimeout } from "../leaseAll.ts"
import { printWarning } from "../requestedSecrets.ts"
import type { RunEnd } from "../run/registerRun.ts"
import { clientSetup, type Variables } from "./clientVariables.ts"
import { followProxy, openRun, type WantedProxy, type ProgramProxy } from "./followProxy.ts"
import { certificateFiles, interceptVariables, noProxyVariables } from "./interception.ts"
import { hostOf, type ProgramRoute } from "./openedProxy.ts"
import { endLines, notASandbox } from "./proxyReport.ts"
import { makeToken, tokenHash } from "./proxyTokens.ts"
import { relayServer, type RelayState } from "./relay.ts"
import { lifeSocket, readFileIfAny, runFolder, writeInto } from "./runFolder.ts"
import { makeTunnel } from "./tunnel.ts"

export interface StartedProxy {
  readonly run: ProgramProxy
  /** For the program. Undefined unsets a variable. */
  readonly variables: Variables
  /** How the program ended. */
  end: RunEnd
}

type Wanted = Omit<WantedProxy, "routes" | "connectHash"> & { readonly routes: ReadonlyArray<RouteRequest> }

export const startProxy = Effect.fnUntraced(function* (wanted: Wanted) {
  const tokens = new Map(wanted.routes.map(({ name }) => [name, makeToken()]))
  const connectToken = makeToken()
  const routes = wanted.routes.map((route) => ({ ...route, hash: tokenHash(tokens.get(route.name) ?? "") }))
  const environment = process.env
  const run = yield* Effect.acquireRelease(
    openRun({ ...wanted, routes, connectHash: tokenHash(connectToken) }),
    ({ connection }) => Effect.sync(() => connection?.close()),
    { interruptible: true }
  )
  const folder = yield* runFolder
  const state: RelayState = {
    socket: () => (run.connection === undefined && !run.isOver ? undefined : run.opened.socket),
    isOver: () => run.isOver,
    hosts: new Set(run.opened.routes.flatMap((route) => (route.intercept ? hostOf(route) : []))),
    tunnel: makeTunnel(tokenHash(connectToken), environment)
  }
  const reached: Array<ProgramRoute> = []
  for (const route of run.opened.routes) {
    const base = route.intercept ? undefined : `http://127.0.0.1:${yield* listen(relayServer(state), 0)}`
    reached.push({ ...route, base, credential: `${route.placeholder}${tokens.get(route.name) ?? ""}` })
  }
  const setup = clientSetup(reached, { folder, environment, read: (file) => readFileIfAny(file) ?? "" })
  writeInto(folder, setup.files)
  for (const name of [...setup.sockets, lifeSocket]) yield* listen(relayServer(state), path.join(folder, name))
  const intercepting = state.hosts.size === 0 ? {} : yield* intercept(run, folder, connectToken, state)
  const started: StartedProxy = {
    run,
    variables: { ...noProxyVariables(environment), ...intercepting, ...setup.variables },
    end: { status: 0 }
  }
  if (isOfSameUser(run.opened.socket)) yield* Effect.sync(() => printNotice(`secrets exec: ${notASandbox}`))
  yield* Effect.addFinalizer(() => endRun(started))
  // It is interrupted first: else it would open the run again that we end.
  yield* Effect.forkScoped(followProxy(run, () => writeCertificates(run, folder)))
  return started
})

/** Listens on a port of loopback, or on a path, until the end of the scope, and of its connections. Returns the port. */
const listen = (server: net.Server, where: 0 | string): Effect.Effect<number, CommandError, Scope.Scope> => {
  const sockets = new Set<net.Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.callback<number, CommandError>((resume) => {
      server.once("error", (error) => resume(Effect.fail(cannotListen(where, error))))
      const options = where === 0 ? { host: "127.0.0.1", port: 0 } : { path: where }
      server.listen(options, () => resume(Effect.succeed(portOf(server))))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
}

const portOf = (server: net.Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const cannotListen = (where: 0 | string, error: unknown): CommandError =>
  new CommandError({
    message: `cannot listen ${where === 0 ? "on 127.0.0.1" : `on ${where}`} for the program: ${reasonOf(error)}`,
    code: "io_error",
    fix: where === 0 ? "Check that the system has a loopback interface" : "Name a shorter folder in XDG_RUNTIME_DIR",
    exitStatus: exitStatus.failed
  })

/** Sets up what routes need that intercept: a port for CONNECT, and the files with the certificate of the run. */
const intercept = Effect.fnUntraced(function* (run: ProgramProxy, folder: string, token: string, state: RelayState) {
  const port = yield* listen(relayServer(state), 0)
  for (const name of writeCertificates(run, folder))
    yield* printWarning("exec", `the certificates of ${name} cannot be read, so clients get those of the system`)
  const files = { whole: path.join(folder, wholeFile), extra: path.join(folder, extraFile) }
  return interceptVariables(`http://run:${token}@127.0.0.1:${port}`, files, process.env)
})

const wholeFile = "certificates.pem"
const extraFile = "run-certificate.pem"

const roots = () => process.getBuiltinModule("node:tls").rootCertificates

/** Writes the files of certificates, again after the worker has made another certificate. */
const writeCertificates = ({ opened: { ca } }: ProgramProxy, folder: string): ReadonlyArray<string> => {
  if (ca === undefined) return []
  const { extra, unread, whole } = certificateFiles(ca, process.env, readFileIfAny, roots)
  writeInto(folder, { [wholeFile]: whole, [extraFile]: extra })
  return unread
}

/** Returns whether we could read what the process behind a socket keeps. */
const isOfSameUser = (socket: string): boolean => {
  const uid = process.geteuid?.()
  return uid === 0 || fs.lstatSync(socket, { throwIfNoEntry: false })?.uid === uid
}

const usedExample = { runs: [{ run_id: "", routes: [{ name: "", requests: 0, refused: 0, unknown_ca: 0 }] }] }

/** Ends the run, and says what did not go through it. */
const endRun = Effect.fnUntraced(function* ({ end, run }: StartedProxy) {
  const runId = run.known.runId
  if (runId === undefined) return
  const expiry = firstExpiry([{ expiresAt: run.opened.expires_at ?? "" }])
  if (expiry !== undefined && expiry.millis <= (yield* Clock.currentTimeMillis))
    printNotice("secrets exec: the routes expired before the program ended")
  const daemon = { ...run.request.daemon, timeout: Duration.min(run.request.daemon.timeout, revokeTimeout) }
  const rest = yield* sharedTimeout(daemon)
  const used = yield* Effect.option(call(daemon, "proxy.status", { run_id: runId }, usedExample))
  yield* Effect.ignore(call(yield* rest, "runs.end", { run_id: runId, ...end, lease_ids: "" }, {}))
  const uses = used._tag === "Some" ? used.value.runs.flatMap((one) => (one.run_id === runId ? one.routes : [])) : []
  for (const line of endLines(run.opened.routes, uses, process.env)) printNotice(`secrets exec: ${line}`)
})
