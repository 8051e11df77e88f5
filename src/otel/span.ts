/**
 * Spans of our own work, and what they say of it. Where none are sent, or this one is
 * not among those that are, it costs a look and nothing is built.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
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
 * Has the work of a function done in a span, where spans are sent, and says of it what `attributes` tells of its end; there
 * is never a value in that. `Effect.fn` with a name makes a span everywhere, and a stack frame as well: some microseconds
 * of each call.
 */
export const inSpan =
  <A, E, Args extends ReadonlyArray<unknown>>(
    name: string,
    attributes?: (exit: Exit.Exit<A, E>, ...args: Args) => Readonly<Record<string, unknown>>
  ) =>
  <B extends A, F extends E, R>(work: Effect.Effect<B, F, R>, ...args: Args): Effect.Effect<B, F, R> =>
    Effect.withFiber((fiber) => {
      if (!fiber.cache.tracerEnabled) return work
      const described =
        attributes === undefined ? work : Effect.onExit(work, (exit) => describe(() => attributes(exit, ...args)))
      return Effect.withSpan(described, name, { captureStackTrace: false })
    })

const describe = (attributes: () => Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = sentSpan(fiber)
    if (span === undefined) return Effect.void
    for (const [name, value] of Object.entries(attributes())) {
      span.attribute(name, typeof value === "string" ? value.slice(0, longestText) : value)
    }
    return Effect.void
  })
