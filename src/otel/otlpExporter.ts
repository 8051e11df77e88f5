/**
 * Exports one signal through Effect's OTLP exporter: one request at a time, within a budget,
 * with a count of what was sent and dropped. Effect's exporter retries a request three
 * times, then pauses for a minute and drops what it holds and is given. No collector can make
 * that pause longer. Effect's own interval and final flush are not used, because they do not
 * report whether an export succeeded. A request ends in time, a response is read up to a
 * limit, and no redirect sends the credentials to another endpoint.
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import { layerJson, layerProtobuf, type OtlpSerialization } from "effect/observability/OtlpSerialization"
import { fromMillis } from "../domain/Timestamp.ts"
import type { SinkState } from "./delivery.ts"
import type { SignalSettings } from "./otlpSettings.ts"
import { type Rejection, rejectionIn } from "./partialSuccess.ts"

/** The default of OTEL_BLRP_MAX_QUEUE_SIZE. */
const maxQueued = 2048
/** An ordinary event has about 200 characters, but a name may have 16 KiB. */
const maxQueuedCharacters = 1024 * 1024
/** The time for the last export; the daemon has two seconds to stop. */
const [shutdownMillis, shutdownMillisWhileFailing] = [900, 200]

/** Bounds what is exported in a second and what is queued for the next request, and counts the rest as dropped. */
export class ExportBudget {
  sent = 0
  dropped = 0
  queued = 0
  private characters = 0
  private second = 0
  private admitted = 0

  /** Queues an item at `now`, in milliseconds, if there is room in its share of the budget. */
  admit(perSecond: number, share: number, now: number, length: () => number): boolean {
    const second = Math.floor(now / 1000)
    if (second !== this.second) [this.second, this.admitted] = [second, 0]
    const hasRoom = this.admitted < perSecond * share && this.queued < maxQueued * share
    const characters = hasRoom ? this.characters + length() : Number.POSITIVE_INFINITY
    if (characters > maxQueuedCharacters * share) {
      this.dropped += 1
      return false
    }
    this.admitted += 1
    this.queued += 1
    this.characters = characters
    return true
  }

  /** Empties the queue and returns how many items it had. */
  take(): number {
    const { queued } = this
    this.queued = this.characters = 0
    return queued
  }
}

export interface SignalOptions<A> {
  readonly settings: SignalSettings
  /** Creates Effect's exporter, with options by which it sends only when it is flushed. */
  readonly make: (
    options: ExporterOptions
  ) => Effect.Effect<A, never, OtlpExporter.Flusher | OtlpSerialization | HttpClient.HttpClient | Scope.Scope>
  /** Adds an item that reports how many were dropped since the last report. */
  readonly reportDropped?: (exporter: A, count: number) => void
}

export type ExporterOptions = ReturnType<typeof exporterOptions>

const exporterOptions = ({ compression, headers, url }: SignalSettings) => ({
  url,
  headers,
  compression,
  maxBatchSize: Number.POSITIVE_INFINITY,
  exportInterval: Duration.infinity,
  shutdownTimeout: Duration.zero
})

/** Exports until the scope ends. */
export const exportSignal = Effect.fnUntraced(function* <A>(options: SignalOptions<A>) {
  const { interval, protocol, signal, timeout } = options.settings
  const budget = new ExportBudget()
  const loggers = yield* Logger.CurrentLoggers
  let isFailing = false
  let lastFailure: SinkState["lastFailure"]
  /** Logs the first failure after a success. */
  const recordFailure = Effect.fnUntraced(
    function* (reason: string) {
      const where = signal === "logs" ? "" : `${signal}: `
      lastFailure = { at: fromMillis(yield* Clock.currentTimeMillis).text, reason: `${where}${reason}` }
      if (isFailing) return
      isFailing = true
      yield* Effect.logWarning(`events: OTLP export of ${signal} fails (${reason}); dropping them`)
    },
    Effect.provideService(Logger.CurrentLoggers, loggers),
    // Effect's exporter annotates what is logged while it runs.
    Effect.provideService(References.CurrentLogAnnotations, {})
  )

  const state: GuardState = { isClosing: false, outcome: undefined, onWait: recordFailure }
  const client = guardHttpClient(yield* HttpClient.HttpClient, timeout, state)
  const [exporter, { flush }] = yield* Effect.all([
    options.make(exporterOptions(options.settings)),
    OtlpExporter.Flusher
  ]).pipe(
    Effect.provide([OtlpExporter.layerFlusher, protocol === "http/json" ? layerJson : layerProtobuf], { local: true }),
    Effect.provideService(HttpClient.HttpClient, client),
    // Not closed: its finalizer would send another request.
    Effect.provideService(Scope.Scope, yield* Scope.make()),
    // `otlpSettings` has read the environment; here, an invalid variable would be a defect.
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
  )

  let reported = 0
  const exportBatch = Effect.gen(function* () {
    const unreported = budget.dropped - reported
    if (unreported > 0) options.reportDropped?.(exporter, unreported)
    const batch = budget.take()
    // Effect logs the cause of a failure, which may contain credentials.
    yield* Effect.provideService(flush, Logger.CurrentLoggers, new Set())
    const { outcome } = state
    state.outcome = undefined
    if (outcome === undefined) {
      // Nothing was queued, or the exporter pauses and has dropped it.
      budget.dropped += batch
    } else if (outcome.failure !== undefined) {
      // The exporter has also dropped what was queued during its retries.
      budget.dropped += batch + budget.take()
      yield* recordFailure(outcome.failure)
    } else {
      const rejected = Math.min(outcome.rejection?.count ?? 0, batch)
      budget.sent += batch - rejected + Number(unreported > 0)
      budget.dropped += rejected
      reported += unreported
      if (outcome.rejection !== undefined) return yield* recordFailure(rejectedText(outcome.rejection))
      if (isFailing) yield* Effect.logInfo(`events: OTLP export of ${signal} works again`)
      isFailing = false
    }
  }).pipe((yield* Semaphore.make(1)).withPermits(1))

  yield* Effect.sleep(interval).pipe(Effect.andThen(exportBatch), Effect.forever, Effect.forkScoped)
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      state.isClosing = true
      const fails = isFailing || state.outcome?.failure !== undefined
      const timeout = fails ? shutdownMillisWhileFailing : shutdownMillis
      yield* Effect.timeoutOption(Effect.interruptible(exportBatch), timeout)
    })
  )
  return { exporter, budget, lastFailure: () => lastFailure }
})

interface Outcome {
  readonly failure: string | undefined
  /** What a collector that accepted the request has left out of it. */
  readonly rejection?: Rejection | undefined
}

interface GuardState {
  /** Prevents retries. */
  isClosing: boolean
  /** Of the last request; undefined if there was none since this was reset. */
  outcome: Outcome | undefined
  /** Records a failure at once, because the collector asks to wait before the next attempt. */
  readonly onWait: (reason: string) => Effect.Effect<void>
}

const rejectedText = ({ count, reason }: Rejection): string => `${count} rejected${reason === "" ? "" : `: ${reason}`}`

const maxResponseBytes = 64 * 1024
/** A year: more does not fit into a time that can be printed. */
const maxAsked = 365 * 24 * 60 * 60_000
/** The longest wait before a retry. Who asks for more gets the next request after the exporter's own pause. */
const maxWaitMillis = 60_000
/** Each may come with a Retry-After, by the OTLP specification and by RFC 9110. */
const retried: ReadonlySet<number> = new Set([429, 502, 503, 504])
/** A status after which Effect does not retry. */
const final = { status: 400, headers: {} }

/** Replaces each response and each error by an empty response. Effect retries after status 503. */
const guardHttpClient = (client: HttpClient.HttpClient, timeoutMillis: number, state: GuardState) =>
  HttpClient.transform(client, (send, request) =>
    Effect.gen(function* () {
      const { asksToWait, outcome, ...response } = yield* Effect.flatMap(send, readResponse).pipe(
        Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => Effect.succeed(failed("timeout")) }),
        Effect.catch((error) => Effect.succeed(failed(errorCode(error)))),
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
      )
      state.outcome = outcome
      if (asksToWait && outcome.failure !== undefined) yield* state.onWait(outcome.failure)
      return outcome.failure !== undefined && state.isClosing ? final : response
    }).pipe(Effect.map((response) => HttpClientResponse.fromWeb(request, new Response(null, response))))
  )

interface GuardedResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly outcome: Outcome
  readonly asksToWait: boolean
}

const readResponse = Effect.fnUntraced(function* (
  response: HttpClientResponse.HttpClientResponse
): Effect.fn.Return<GuardedResponse> {
  const { headers, status } = response
  const body = yield* readBody(response.stream)
  const type = headers["content-type"] ?? ""
  if (status >= 200 && status < 300) {
    // A page of a proxy or a login.
    if (type.includes("text/html")) return failed(`HTTP status ${status} with a web page`)
    return {
      status,
      headers: {},
      outcome: { failure: undefined, rejection: rejectionIn(type, body) },
      asksToWait: false
    }
  }
  const failure = `HTTP status ${status}`
  const asked = retried.has(status) ? Headers.parseRetryAfter(headers["retry-after"] ?? "") : Result.fail(undefined)
  if (Result.isFailure(asked)) return { ...failed(failure), status }
  const now = yield* Clock.currentTimeMillis
  const wait = Duration.toMillis(Headers.retryAfterDelay(asked.success, now))
  const outcome = { failure: `${failure}, it asks to wait until ${fromMillis(now + Math.min(wait, maxAsked)).text}` }
  if (wait > maxWaitMillis) return { ...final, outcome, asksToWait: true }
  // Effect reads the header of this status alone.
  return { status: 429, headers: { "retry-after": String(Math.ceil(wait / 1000)) }, outcome, asksToWait: true }
})

/** Reads at most `maxResponseBytes`, or as much as there is of a response that breaks off. */
const readBody = Effect.fnUntraced(function* (stream: HttpClientResponse.HttpClientResponse["stream"]) {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  const add = (chunk: Uint8Array) => {
    chunks.push(chunk)
    return (bytes += chunk.length) < maxResponseBytes
  }
  yield* Effect.ignore(Stream.runForEachWhile(stream, (chunk) => Effect.sync(() => add(chunk))))
  return Buffer.concat(chunks).subarray(0, maxResponseBytes)
})

/** Returns a response after which Effect retries. */
const failed = (failure: string): GuardedResponse => ({
  status: 503,
  headers: {},
  outcome: { failure },
  asksToWait: false
})

/** Returns the system's error code, such as ECONNREFUSED, and not the message, which may contain the URL. */
const errorCode = (error: unknown): string => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ("code" in cause && typeof cause.code === "string") return cause.code
  }
  return "connection failed"
}
