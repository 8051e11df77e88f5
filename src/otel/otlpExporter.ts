/**
 * Exports one signal through Effect's OTLP exporter: one request at a time, within a budget,
 * with a count of what was sent and dropped. Effect's exporter retries a request three
 * times, then pauses for a minute and drops what it holds and is given. Its own interval and
 * final flush are not used, because they do not report whether an export succeeded. A
 * request ends in time, a response is read up to a limit, and no redirect sends the
 * credentials to another endpoint.
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import { layerJson, layerProtobuf, type OtlpSerialization } from "effect/observability/OtlpSerialization"
import { fromMillis } from "../domain/Timestamp.ts"
import type { SinkState } from "./delivery.ts"
import type { SignalSettings } from "./otlpSettings.ts"

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
  const state: GuardState = { isClosing: false, outcome: undefined }
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
  let isFailing = false
  let lastFailure: SinkState["lastFailure"]
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
    } else if (outcome.failure === undefined) {
      budget.sent += batch + Number(unreported > 0)
      reported += unreported
      if (isFailing) yield* Effect.logInfo(`events: OTLP export of ${signal} works again`)
      isFailing = false
    } else {
      // The exporter has also dropped what was queued during its retries.
      budget.dropped += batch + budget.take()
      lastFailure = { at: fromMillis(yield* Clock.currentTimeMillis).text, reason: outcome.failure }
      if (!isFailing)
        yield* Effect.logWarning(`events: OTLP export of ${signal} fails (${outcome.failure}); dropping them`)
      isFailing = true
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

interface GuardState {
  /** Prevents retries. */
  isClosing: boolean
  /** Of the last request; undefined if there was none since this was reset. */
  outcome: { readonly failure: string | undefined } | undefined
}

const maxResponseBytes = 64 * 1024

/** Replaces each response and each error by an empty response. Effect retries after status 503, and not after 400. */
const guardHttpClient = (client: HttpClient.HttpClient, timeoutMillis: number, state: GuardState) =>
  HttpClient.transform(client, (send, request) =>
    Effect.gen(function* () {
      const { failure, ...response } = yield* Effect.flatMap(send, readResponse).pipe(
        Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => Effect.succeed(failed("timeout")) }),
        Effect.catch((error) => Effect.succeed(failed(errorCode(error)))),
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
      )
      state.outcome = { failure }
      return failure !== undefined && state.isClosing ? { status: 400 } : response
    }).pipe(Effect.map((response) => HttpClientResponse.fromWeb(request, new Response(null, response))))
  )

const readResponse = Effect.fnUntraced(function* ({ headers, status, stream }: HttpClientResponse.HttpClientResponse) {
  let bytes = 0
  const read = Stream.runForEachWhile(stream, (chunk) => Effect.sync(() => (bytes += chunk.length) < maxResponseBytes))
  yield* Effect.ignore(read)
  const retryAfter = headers["retry-after"] ?? ""
  return {
    status,
    failure: status >= 200 && status < 300 ? undefined : `HTTP status ${status}`,
    // A longer delay would stop the loop.
    headers: /^\d\d?$/.test(retryAfter) ? { "retry-after": retryAfter } : {}
  }
})

const failed = (failure: string) => ({ status: 503, failure, headers: {} })

/** Returns the system's error code, such as ECONNREFUSED, and not the message, which may contain the URL. */
const errorCode = (error: unknown): string => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ("code" in cause && typeof cause.code === "string") return cause.code
  }
  return "connection failed"
}
