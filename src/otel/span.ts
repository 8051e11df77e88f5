/**
 * Spans of our own work, and what they say of it. Which are sent is decided before they
 * are made: to make one takes ten microseconds, and of thousands a second fifty are sent.
 * Effect's own spans are not made at all.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

export interface SpansSent {
  readonly tracer: Tracer.Tracer
  /** Whether the work that begins now gets one. */
  readonly isNext: () => boolean
}

/** Where spans go; undefined where nobody is sent any. */
export const SpansSent = Context.Reference<SpansSent | undefined>("agent-secrets/SpansSent", {
  defaultValue: () => undefined
})

/** Names may have 16 KiB; what is longer than this helps nobody who looks at spans. */
const longestText = 1024

/** The span under way if it is one that is sent. */
export const sentSpan = (fiber: Fiber.Fiber<unknown, unknown>): Tracer.Span | undefined => {
  const span = fiber.cache.span
  return span?._tag === "Span" && span.sampled && fiber.cache.tracerEnabled ? span : undefined
}

/**
 * Has the work of a function done in a span of its own trace, if one is sent, and says of it what `attributes` tells of its
 * end; there is never a value in that. `Effect.fn` with a name makes a span everywhere, and a stack frame as well: some
 * microseconds of each call.
 */
export const inSpan =
  <A, E, Args extends ReadonlyArray<unknown>>(
    name: string,
    attributes: (exit: Exit.Exit<A, E>, ...args: Args) => Readonly<Record<string, unknown>>
  ) =>
  <B extends A, F extends E, R>(work: Effect.Effect<B, F, R>, ...args: Args): Effect.Effect<B, F, R> =>
    Effect.withFiber((fiber) => {
      const sent = fiber.getRef(SpansSent)
      if (sent === undefined || !sent.isNext()) return work
      const described = Effect.onExit(work, (exit) => describe(attributes(exit, ...args)))
      return Effect.withSpan(described, name, { root: true, captureStackTrace: false }).pipe(
        Effect.provideService(Tracer.Tracer, sent.tracer),
        Effect.provideService(References.TracerEnabled, true)
      )
    })

const describe = (attributes: Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    for (const [name, value] of Object.entries(attributes)) {
      sentSpan(fiber)?.attribute(name, typeof value === "string" ? value.slice(0, longestText) : value)
    }
    return Effect.void
  })
