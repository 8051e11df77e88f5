/**
 * The HTTP client of the exporters, made harmless: each request ends in time, of an
 * answer no more is read than is of use, and nothing of it but the status is given on.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

/** More of an answer is of no use. */
const answerLength = 64 * 1024

export interface Guard {
  readonly timeout: Duration.Duration
  readonly isClosed: () => boolean
  /** From then on nothing is tried again. */
  readonly isEnding: () => boolean
  /** Hears of each answer: undefined if it was a good one, else what was wrong. */
  readonly note: (failure: string | undefined) => void
}

/** Reads each answer itself, within the time and up to a length, and gives on no more than its status. */
export const guarded = (
  client: HttpClient.HttpClient,
  { isClosed, isEnding, note, timeout }: Guard
): HttpClient.HttpClient =>
  HttpClient.transform(client, (response, request) => {
    const inTime = response.pipe(
      Effect.tap(({ stream }) => {
        let length = 0
        const read = Stream.runForEachWhile(stream, (bytes) =>
          Effect.sync(() => (length += bytes.length) < answerLength)
        )
        return Effect.ignore(read)
      }),
      Effect.tap(({ status }) => Effect.sync(() => note(isGood(status) ? undefined : `it answers ${status}`))),
      Effect.map(({ headers, status }) => {
        const wait = headers["retry-after"]
        const kept = wait === undefined ? {} : { headers: { "retry-after": wait } }
        return HttpClientResponse.fromWeb(request, new Response(null, { status, ...kept }))
      }),
      Effect.tapError((error) => Effect.sync(() => note(reasonOf(error)))),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => {
          note("it does not answer in time")
          const reason = new HttpClientError.TransportError({ request, description: "no answer in time" })
          return Effect.fail(new HttpClientError.HttpClientError({ reason }))
        }
      })
    )
    // Effect's exporter does not try again after a defect.
    const refuse = Effect.suspend(() => (isEnding() ? Effect.die(new Error("there is no time left")) : Effect.void))
    const once = inTime.pipe(
      Effect.tapError(() => refuse),
      Effect.tap(({ status }) => (isGood(status) ? Effect.void : refuse))
    )
    return Effect.suspend(() => (isClosed() ? Effect.die(new Error("the channel is closed")) : once))
  })

const isGood = (status: number): boolean => status >= 200 && status < 300

/** The code of the system, such as ECONNREFUSED. Nothing else of the error: it may show the address. */
const reasonOf = (error: unknown): string => {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth += 1) {
    if ("code" in inner && typeof inner.code === "string") return inner.code
  }
  return "it cannot be reached"
}
