/**
 * Bounds what a collector can do to the daemon: a request ends in time, a response is
 * read up to a limit, and no redirect sends the credentials to another endpoint.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

export interface GuardState {
  /** Prevents retries. */
  isClosing: boolean
  /** Of the last request; undefined if there was none since this was reset. */
  outcome: { readonly failure: string | undefined } | undefined
}

const maxResponseBytes = 64 * 1024

/** Replaces each response and each error by an empty response. Effect retries after status 503, and not after 400. */
export const guardHttpClient = (client: HttpClient.HttpClient, timeoutMillis: number, state: GuardState) =>
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
    // A longer delay would stop the export loop.
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
