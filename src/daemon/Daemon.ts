/**
 * The daemon: composes its layers.
 *
 * They open in the order of `layers`, from the last line up, and close in reverse. So no
 * connection outlives what it needs, and the last audit entry follows every other write. If
 * the state directory is replaced, all are closed and opened again on the new one.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileRepairedFact, noStartFact, stopFact } from "../domain/daemonFacts.ts"
import type { Config } from "../domain/Config.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import { callerOf, type ListenSocket, socketsOf } from "../domain/ListenSocket.ts"
import { launchdLogs } from "../domain/paths.ts"
import { runsFileName, uncleanStarts } from "../domain/runHistory.ts"
import type { Supervision } from "../domain/supervision.ts"
import { startMetrics } from "../otel/metrics.ts"
import { sinkLayer } from "../otel/OtelSink.ts"
import { livenessProbe } from "../rpc/client/client.ts"
import { serveConnections } from "../rpc/server/serveConnections.ts"
import { type ActivatedSocket, adoptActivatedSockets } from "../rpc/transport/activatedSocket.ts"
import * as UnixSocketServer from "../rpc/transport/UnixSocketServer.ts"
import { AuditLog } from "./audit/AuditLog.ts"
import type { AuditLogError } from "./audit/AuditLogError.ts"
import { ExposureLedger } from "./audit/ExposureLedger.ts"
import type { FileError } from "./files/durableFile.ts"
import { StartError } from "./files/fileLock.ts"
import { resolveLink } from "./files/pinFile.ts"
import { LeaseRepo } from "./leases/LeaseRepo.ts"
import { announceStart, announceStop, reportCrashLoop } from "./lifecycle/announce.ts"
import { makeWitness, sendWitnesses } from "./lifecycle/auditWitness.ts"
import { checkOutput } from "./lifecycle/checkOutput.ts"
import { childrenFileName, childRecordLayer } from "./lifecycle/childrenFile.ts"
import { DaemonInfo } from "./lifecycle/DaemonInfo.ts"
import { startHeartbeat } from "./lifecycle/heartbeat.ts"
import { Instance, type InstancePaths } from "./lifecycle/Instance.ts"
import { isSupervised, startedBy, type SupervisionEvidence } from "./lifecycle/isSupervised.ts"
import { type Notifications, notifyStopping, notifySupervisor } from "./lifecycle/notifySupervisor.ts"
import { recordPolicy, reloadConfig, type ReplaceableConfig, type ReplacedConfig } from "./lifecycle/reloadConfig.ts"
import { limitOwnLog, ownLog } from "./lifecycle/ownLog.ts"
import { Restart } from "./lifecycle/Restart.ts"
import { verifyAtStart } from "./lifecycle/verifyAtStart.ts"
import { restartOnReplacedDirectory } from "./lifecycle/watchDirectories.ts"
import {
  reopenOnHangup,
  reportAuditFailures,
  reportDroppedEvents,
  sampleGaugesForever,
  watchStoreFiles
} from "./lifecycle/watches.ts"
import { CurrentPolicy, replaceablePolicy } from "./operations/CurrentPolicy.ts"
import { CurrentRoutes, replaceableRoutes } from "./operations/CurrentRoutes.ts"
import { followOtherMachines } from "./operations/followOtherMachines.ts"
import { CurrentLimits } from "./operations/leaseRules.ts"
import { watchRequests } from "./operations/requests.ts"
import { requestsLayer } from "./operations/RequestTable.ts"
import { ScanBudget } from "./operations/ScanBudget.ts"
import { sweepForever } from "./operations/sweep.ts"
import { Proxy } from "./proxy/Proxy.ts"
import { Runs } from "./runs/Runs.ts"
import { RotationHook } from "./secrets/RotationHook.ts"
import { SecretStore } from "./secrets/SecretStore.ts"
import type { StoreMemory, StoreUnreadable } from "./secrets/storeFiles.ts"

/** The daemon's environment, apart from its configuration. */
export interface DaemonOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Returns why the daemon stops, such as "SIGTERM". */
  readonly stopReason: () => string
  /** Sets the handler for SIGHUP. */
  readonly onHangup: (run: () => void) => void
  /** Reads config.json again; undefined if there is none. */
  readonly readConfig: Effect.Effect<ReplacedConfig | undefined, { readonly message: string }>
  /** What the supervisor passed at the start. */
  readonly supervision: Supervision
}

/** Serves until it is interrupted; everything is saved when it returns. */
export const runDaemon = Effect.fn("runDaemon")(function* (config: Config, options: DaemonOptions) {
  yield* checkOutput([config.auditPath, config.leasesPath, config.identityPath, config.secretsPath])
  const activated = yield* adoptActivatedSockets(options.supervision.listeners, mainFirst(config))
  const memory: StoreMemory = { last: undefined }
  const faces = yield* facesOf(config, memory)
  const current = { policy: replaceablePolicy(config.policy), routes: replaceableRoutes(config.proxyRoutes) }
  return yield* restartOnReplacedDirectory(instancePaths(config).directories, (isRestart) =>
    Effect.provide(
      serveOnce(config, options, activated, current),
      layers(config, options, { faces, isRestart, activated })
    )
  ).pipe(Effect.provideService(CurrentPolicy, current.policy), Effect.provideService(CurrentRoutes, current.routes))
})

/** Serves until a restart is requested or the state directory is replaced. */
const serveOnce = Effect.fn("serveOnce")(function* (
  config: Config,
  options: DaemonOptions,
  activated: ActivatedSockets,
  current: ReplaceableConfig
) {
  const { policy } = current
  const sockets = socketsOf(config)
  const instance = yield* Instance
  yield* startMetrics(instance.startedAt.millis)
  yield* announceStart(config.socketPath, sockets)
  if (policy.rules() !== undefined) yield* Effect.ignore(recordPolicy(policy.rules()))
  const heartbeat = yield* startHeartbeat(config.heartbeat)
  const restart = yield* Restart
  const info = DaemonInfo.of({
    pid: instance.pid,
    startedAt: instance.startedAt,
    startedBy: startedBy(evidenceOf(options)),
    sockets: sockets.map(({ access, path, role }) => ({
      path,
      role,
      mode: `0${access.mode.toString(8)}`,
      group: access.mode === 0o660 ? access.group : undefined
    })),
    team: config.team?.name,
    heartbeat: heartbeat.status,
    uncleanStarts: Effect.map(Effect.all([instance.runs, Clock.currentTimeMillis]), ([runs, now]) =>
      uncleanStarts(runs, now)
    )
  })
  const serving = serveConnections().pipe(
    Effect.provideService(DaemonInfo, info),
    Effect.provideService(CurrentLimits, config)
  )
  const notifications: Notifications = {
    supervision: options.supervision,
    searchPath: options.environment["PATH"],
    probe: (within) => livenessProbe(config.socketPath, within)
  }
  const watches = [
    sweepForever,
    reportDroppedEvents,
    reportAuditFailures,
    watchStoreFiles,
    sampleGaugesForever,
    watchRequests,
    followOtherMachines,
    askApprover(config.approval, options.environment),
    heartbeat.watch,
    verifyAtStart,
    sendWitnesses(config.auditWitness, yield* makeWitness(config.auditWitness, options.environment["PATH"])),
    reopenOnHangup(options.onHangup, reloadConfig(current, options.readConfig)),
    limitOwnLog(ownLog(Object.values(launchdLogs(options.environment["HOME"] ?? "/", config.directory)))),
    notifySupervisor(notifications, `serving on ${config.socketPath}`)
  ]
  const replaced = Effect.tap(instance.directoryReplaced, (reason) =>
    Effect.andThen(
      Effect.sync(() => activated.forEach((socket) => socket.keepOpen())),
      Effect.logError(reason)
    )
  )
  const announceEnd = (reason: string) =>
    Effect.andThen(
      reason === "directory replaced" ? Effect.void : notifyStopping(notifications, reason),
      announceStop(reason)
    )
  return yield* Effect.all([serving, ...watches], { concurrency: "unbounded", discard: true }).pipe(
    Effect.andThen(Effect.never),
    Effect.raceFirst(Effect.as(restart.requested, "restart" as const)),
    Effect.raceFirst(Effect.as(replaced, "directory replaced" as const)),
    Effect.onExit((exit) => announceEnd(Exit.isSuccess(exit) ? exit.value : options.stopReason()))
  )
})

/** Loads what asks a person, where config.json names a program for it. */
const askApprover = Effect.fnUntraced(function* (
  settings: Config["approval"],
  environment: DaemonOptions["environment"]
) {
  if (settings.command === undefined && settings.notify === undefined) return
  const { askPerson } = yield* Effect.promise(() => import("./lifecycle/askPerson.ts"))
  yield* askPerson(settings, environment)
})

/** The sockets that the supervisor passed, by their paths. */
type ActivatedSockets = ReadonlyMap<string, ActivatedSocket>

/** Returns the sockets in the order in which errors name them. */
const mainFirst = (config: Config): ReadonlyArray<ListenSocket> =>
  socketsOf(config).toSorted((a, b) => Number(b.path === config.socketPath) - Number(a.path === config.socketPath))

interface LayerOptions {
  readonly faces: Faces
  readonly isRestart: boolean
  readonly activated: ActivatedSockets
}

const evidenceOf = ({ environment, supervision }: DaemonOptions): SupervisionEvidence => ({
  environment,
  supervision,
  pid: process.pid,
  parent: process.ppid
})

/** What is in files, or in the database of a team. */
interface Faces {
  readonly leases: Layer.Layer<LeaseRepo, AuditLogError | FileError | StartError, AuditLog>
  readonly secrets: Layer.Layer<SecretStore, StoreUnreadable | FileError | StartError, AuditLog>
  readonly audit: Layer.Layer<AuditLog, FileError | StartError>
}

/** Chooses between the two. Only a team loads the code of a team. */
const facesOf = (config: Config, memory: StoreMemory): Effect.Effect<Faces, StartError> => {
  const { team } = config
  if (team !== undefined) {
    return Effect.map(
      Effect.promise(() => import("./team/teamFaces.ts")),
      ({ teamFaces }) => teamFaces(config, team, memory)
    )
  }
  // Its secrets are those of the team, which could not take them back here.
  if (fs.existsSync(path.join(config.directory, "team.json"))) {
    return Effect.fail(
      new StartError({
        reason: `this machine is in a team (team.json in ${config.directory}), and config.json has no section team`,
        fix: "Add the section again, as secrets team init or join printed it. To leave: with the section, secrets team leave",
        exitStatus: exitStatus.badConfig
      })
    )
  }
  return Effect.succeed({
    leases: LeaseRepo.layer(config.leasesPath),
    secrets: SecretStore.layer({ identity: config.identityPath, secrets: config.secretsPath }, memory),
    audit: AuditLog.layerOf(config)
  })
}

const layers = (
  config: Config,
  options: DaemonOptions,
  { isRestart, activated, faces }: LayerOptions,
  environment = options.environment,
  supervised = () => isSupervised(evidenceOf(options))
) =>
  UnixSocketServer.layerUnixSockets(socketOptions(config, activated)).pipe(
    Layer.provideMerge(ScanBudget.layer),
    Layer.provideMerge(requestsLayer(config.approval.open)),
    Layer.provideMerge(RotationHook.layer({ timeout: config.rotationTimeout, environment })),
    Layer.provideMerge(Restart.layer(path.join(config.directory, "restart-cooldown.json"), supervised)),
    Layer.provideMerge(Proxy.layer(() => proxyOptions(config))),
    Layer.provideMerge(Runs.layer),
    Layer.provideMerge(faces.leases),
    Layer.provideMerge(faces.secrets),
    Layer.provideMerge(
      Layer.provideMerge(lastEntry(config.auditWitness, environment["PATH"]), Layer.effectDiscard(reportCrashLoop))
    ),
    Layer.provideMerge(ExposureLedger.layer(config.directory)),
    Layer.provideMerge(sinkLayer({ environment, sampling: config.sampling, otlp: config.otlp })),
    Layer.provideMerge(faces.audit),
    Layer.provideMerge(childRecordLayer(path.join(config.directory, childrenFileName))),
    Layer.provideMerge(
      Instance.layer(instancePaths(config), {
        isRestart,
        activated: new Set(activated.keys()),
        isSupervised: supervised
      })
    )
  )

const socketOptions = (config: Config, activated: ActivatedSockets) =>
  socketsOf(config).map((socket, _, all) => ({
    path: socket.path,
    access: socket.access,
    caller: callerOf(socket, config.directory, all.length === 1),
    onRestored: recordRestored(socket.path),
    activated: activated.get(socket.path)
  }))

const proxyOptions = (config: Config) =>
  Effect.map(
    Effect.promise(() => import("./proxy/proxySockets.ts")),
    ({ proxySocketsOf }) => ({ sockets: proxySocketsOf(socketsOf(config), config.socketPath, config.directory) })
  )

const recordRestored = (socketPath: string) =>
  Effect.flatMap(AuditLog, (audit) =>
    audit.append([fileRepairedFact(`the socket ${socketPath} was missing and has been recreated`)])
  )

/** Returns the paths that lock, record and watch a state directory. */
export const instancePaths = (config: Config): InstancePaths => ({
  directory: config.directory,
  directories: [
    ...new Set([
      config.directory,
      ...[config.auditPath, config.leasesPath, config.identityPath, config.secretsPath].map((file) =>
        path.dirname(resolveLink(file))
      )
    ])
  ],
  store: [config.identityPath, config.secretsPath],
  socket: config.socketPath,
  sockets: socketsOf(config).map(({ access, path: at }) => ({ path: at, isShared: access.mode !== 0o600 })),
  lock: path.join(config.directory, "daemon.lock"),
  run: path.join(config.directory, "daemon.json"),
  runs: path.join(config.directory, runsFileName)
})

/** The daemon has two seconds to stop. */
const witnessTimeout = Duration.millis(700)

/** Writes the last audit entry, after the leases and the store are closed. */
const lastEntry = (settings: Config["auditWitness"], searchPath: string | undefined) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { appendLast } = yield* ExposureLedger
      const { hasServed, setAuditEnd } = yield* Instance
      const sendWitness = yield* makeWitness(settings, searchPath)
      const stop = Effect.gen(function* () {
        const { line, seq } = yield* appendLast(hasServed() ? stopFact : noStartFact)
        yield* setAuditEnd({ seq, hash: line })
        // Interruptible only below the timeout: this fiber may be interrupted already.
        yield* Effect.timeoutOption(Effect.interruptible(sendWitness), witnessTimeout)
      })
      yield* Effect.addFinalizer(() => Effect.ignore(stop))
    })
  )
