/**
 * The export to a collector without a network: an HTTP client that stands in for the collector.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { startOtlp } from "../../src/otel/otlp.ts"
import { otlpSettings } from "../../src/otel/otlpSettings.ts"

interface Export {
  readonly path: string
  readonly type: string
  readonly text: string
}

/** A collector that responds as `state` says, or never if the status is 0. */
export const fakeCollector = () => {
  const requests: Array<Export> = []
  const state: { status: number; headers: Record<string, string>; body: string | Uint8Array<ArrayBuffer> } = {
    status: 200,
    headers: {},
    body: "{}"
  }
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const body = request.body._tag === "Uint8Array" ? Buffer.from(request.body.body).toString("utf8") : ""
      const type = request.body._tag === "Uint8Array" ? request.body.contentType : ""
      requests.push({ path: url.pathname, type, text: body })
      return state.status === 0
        ? Effect.never
        : Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(state.body, state)))
    })
  )
  const records = () =>
    requests
      .filter(({ path }) => path === "/v1/logs")
      .map(({ text }) => JSON.parse(text).resourceLogs[0].scopeLogs[0].logRecords)
  const spans = () =>
    requests
      .filter(({ path }) => path === "/v1/traces")
      .map(({ text }) => JSON.parse(text).resourceSpans[0].scopeSpans[0].spans)
  return { client, requests, state, records, spans }
}

/** Starts the export in its own scope, so that a test can close it. */
export const startExport = Effect.fnUntraced(function* (
  { client }: ReturnType<typeof fakeCollector>,
  environment: Record<string, string> = { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://collector/v1/logs" }
) {
  const settings = otlpSettings(environment)
  if (settings === undefined) return yield* Effect.die(new Error("no endpoint is configured"))
  const scope = yield* Scope.make()
  const otlp = yield* startOtlp(settings).pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Scope.provide(scope)
  )
  return {
    ...otlp,
    sent: Effect.map(otlp.state, ({ sent }) => sent),
    dropped: Effect.map(otlp.state, ({ dropped }) => dropped),
    shutdown: Scope.close(scope, Exit.void)
  }
})
