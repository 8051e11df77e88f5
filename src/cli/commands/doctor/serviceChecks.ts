/**
 * The checks of `secrets doctor` that look at what works with the daemon: its service, and where
 * its events go.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../../domain/counted.ts"
import { childEnvironment } from "../../../domain/childEnvironment.ts"
import { findJoelclaw } from "../../../otel/findJoelclaw.ts"
import { otlpSettings, type SignalSettings } from "../../../otel/otlpSettings.ts"
import { runTool } from "../../../process/runTool.ts"
import { runtimeRemark } from "../../../service/lastingRuntime.ts"
import type { ServiceStatus } from "../../../service/assess.ts"
import { lingerNotes } from "../../../service/systemd.ts"
import type { DaemonArgs } from "../service/daemonFlags.ts"
import { serviceStatus } from "../service/serviceStatus.ts"
import { currentUser } from "../service/supervisorOf.ts"
import { type Finding, type Verdict, note, ok, warning } from "./Check.ts"
import type { Examined } from "./examine.ts"
import { usesOtherDaemon } from "./fileChecks.ts"

const states: Readonly<Record<ServiceStatus["state"], readonly [verdict: Verdict, what: string]>> = {
  running: ["ok", "it runs"],
  running_unmanaged: ["note", "none: the daemon was started by hand or by another supervisor"],
  stale: ["warning", "it runs, but would be installed differently now"],
  not_answering: ["wrong", "it runs, but does not answer"],
  failing: ["wrong", "it cannot start"],
  starting: ["warning", "it is being started"],
  stopped: ["warning", "it is installed, but stopped"],
  not_loaded: ["warning", "it is installed, but not loaded"],
  not_installed: ["note", "none is installed"]
}

/** Checks the service of this user or, without one, that of the system. */
export const checkService = Effect.fnUntraced(function* (examined: Examined) {
  if (usesOtherDaemon(examined)) return [ok("none is needed: the daemon runs as another account")]
  const { args, daemon, socketPath } = examined
  const argsFor = (system: boolean): DaemonArgs => ({
    positionals: [],
    flag: (name) => name === "system" && system,
    option: (name) => (name === "socket" || name === "config" || name === "timeout" ? args.option(name) : undefined),
    options: () => []
  })
  const { pid, started_by: startedBy } = (Result.isSuccess(daemon) ? daemon.success.process : undefined) ?? {}
  const known = { socketPath, answer: Result.isSuccess(daemon) ? { pid, startedBy } : undefined }
  const own = yield* Effect.result(serviceStatus(argsFor(false), known))
  const isNone = Result.isSuccess(own) && own.success.result.file === undefined
  const system = isNone ? yield* Effect.result(serviceStatus(argsFor(true), known)) : own
  const isSystem = Result.isSuccess(system) && system.success.result.file !== undefined
  const chosen = isSystem ? system : own
  if (Result.isFailure(chosen)) {
    const { fix, message } = chosen.failure
    return [warning("its supervisor cannot be asked", message, fix)]
  }
  const { file, fix, reason, runtime, scope, state, supervisor } = chosen.success.result
  const [verdict, what] = states[state]
  const found: Finding = { verdict, what, where: reason, fix: fix === "" && file === undefined ? install : fix }
  if (file === undefined || scope === "system") return [found]
  const { name } = yield* Effect.orElseSucceed(currentUser, () => ({ name: "" }))
  const notes = supervisor === "systemd" ? lingerNotes(name) : []
  const remark = runtimeRemark(runtime)
  return [
    found,
    ...notes.map((fix) => note("it ends with your session", undefined, fix)),
    ...(remark === undefined ? [] : [warning("it depends on one version of Node", runtime, remark)])
  ]
})

const install =
  process.getuid?.() === 0
    ? "To have it started at boot and after a crash: secrets daemon install --system --user NAME"
    : "To have it started at login and after a crash: secrets daemon install"

/** With the wait for the daemon, which comes first, within the time of a command. */
const answerTimeout = "1200 millis"

export const checkJoelclaw = Effect.fnUntraced(function* (examined: Examined) {
  const sink = sinkOf(examined, "joelclaw")
  const command = sink?.target ?? (yield* findJoelclaw(examined.environment))
  if (command === undefined) return [ok("not installed, so it gets no events")]
  const env = childEnvironment(examined.environment)
  const answer = yield* Effect.result(runTool([command, "--version"], { env, timeout: answerTimeout }))
  if (Result.isFailure(answer) || answer.success.status !== 0)
    return [warning("it does not answer", command, "Run it yourself: joelclaw --version")]
  return [ok(`it answers${countsOf(sink)}`, command), ...failureOf(sink)]
})

export const checkCollector = Effect.fnUntraced(function* (examined: Examined) {
  const settings = otlpSettings(examined.environment, examined.config.otlp)
  if (settings === undefined) return [ok("none is configured")]
  const sink = sinkOf(examined, "otlp")
  const invalid = settings.warnings.map((text) => warning("a setting of it is invalid", text, "Correct that setting"))
  const signals = Object.values(settings.signals)
  const answers = yield* Effect.forEach(signals, askCollector, { concurrency: "unbounded" })
  return [...invalid, ...answers, ...failureOf(sink)]
})

/** Sends an export request without any data. */
const askCollector = Effect.fnUntraced(function* ({ headers, protocol, signal, url }: SignalSettings) {
  const isJson = protocol === "http/json"
  const status = yield* Effect.tryPromise(async (abort) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": isJson ? "application/json" : "application/x-protobuf" },
      body: isJson ? "{}" : new Uint8Array(),
      // The headers, which may hold a key, stay with the endpoint that the settings name.
      redirect: "manual",
      signal: abort
    })
    await response.body?.cancel()
    return response.status
  }).pipe(
    Effect.timeout(answerTimeout),
    Effect.orElseSucceed(() => undefined)
  )
  const { origin } = new URL(url)
  if (status === undefined) return warning(`${signal}: it does not answer`, origin, "Start it, or correct its endpoint")
  return status < 300
    ? ok(`${signal}: it answers`, origin)
    : warning(`${signal}: it answers with status ${status}`, origin, "Check the endpoint and its headers")
})

type Sink = { readonly sent: number; readonly dropped: number; readonly target: string | undefined } & {
  readonly last_failure: { readonly at: string; readonly reason: string } | undefined
}

const sinkOf = ({ daemon }: Examined, kind: string): Sink | undefined =>
  Result.isSuccess(daemon) ? daemon.success.diagnostics?.sinks.find((sink) => sink.kind === kind) : undefined

const countsOf = (sink: Sink | undefined): string =>
  sink === undefined ? "" : `; ${counted(sink.sent, "event")} sent, ${sink.dropped} lost`

const failureOf = (sink: Sink | undefined): ReadonlyArray<Finding> =>
  sink?.last_failure === undefined
    ? []
    : [note("the daemon could not send to it", `${sink.last_failure.at}: ${sink.last_failure.reason}`)]
