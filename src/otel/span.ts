/**
 * What a span says of its work, where spans are sent and this one is among them;
 * elsewhere it costs a look and nothing is built.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** Names may have 16 KiB; what is longer than this helps nobody who looks at spans. */
const longestText = 1024

/** The span under way if it is one that is sent. */
export const sentSpan = (fiber: Fiber.Fiber<unknown, unknown>): Tracer.Span | undefined => {
  const span = fiber.cache.span
  // Effect's own spans are sent nowhere; to ask for the tracer would cost more than the rest.
  return span?._tag === "Span" && span.sampled && !(span instanceof Tracer.NativeSpan) ? span : undefined
}

/**
 * Has the work of a function done in a span, where spans are sent. `Effect.fn` with a name makes one everywhere, and a
 * stack frame as well: some microseconds of each call.
 */
export const inSpan =
  (name: string) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) =>
      fiber.cache.tracerEnabled ? Effect.withSpan(work, name, { captureStackTrace: false }) : work
    )

/** Adds attributes to the span under way. There is never a value in them. */
export const describeSpan = (attributes: () => Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = sentSpan(fiber)
    if (span === undefined) return Effect.void
    for (const [name, value] of Object.entries(attributes())) {
      span.attribute(name, typeof value === "string" ? value.slice(0, longestText) : value)
    }
    return Effect.void
  })
