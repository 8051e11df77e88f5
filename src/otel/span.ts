/**
 * Root spans of our own operations. Sampling comes before the span is created, because
 * creating one costs more than most of the work in it. Effect's own spans are disabled.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

export interface SpanExporter {
  readonly tracer: Tracer.Tracer
  /** Decides whether the operation that starts now gets a span. */
  readonly isSampled: () => boolean
}

/** Samples evenly by `ratio`, as far as `admit` allows. A trace has one span, so its id need not decide. */
export const sampleEvenly = (ratio: number, admit: () => boolean): SpanExporter["isSampled"] => {
  // Half a step, because sums of tenths are less than they should be.
  let credit = ratio / 2
  return () => {
    credit += ratio
    if (credit < 1) return false
    credit -= 1
    return admit()
  }
}

/** Undefined where no spans are exported. */
export const CurrentSpanExporter = Context.Reference<SpanExporter | undefined>("agent-secrets/SpanExporter", {
  defaultValue: () => undefined
})

/** A name may have 16 KiB, which no trace viewer shows. */
const maxAttributeLength = 1024

/** Returns the current span if it is exported. */
export const exportedSpan = ({ cache: { span } }: Fiber.Fiber<unknown, unknown>): Tracer.Span | undefined =>
  span?._tag === "Span" && span.sampled ? span : undefined

/**
 * Runs an effect in its own root span if the span is sampled, with attributes derived from its exit. A named `Effect.fn`
 * would create a span and a stack frame at each call.
 */
export const inSpan = <A, E, R>(
  name: string,
  attributes: (exit: Exit.Exit<A, E>) => Readonly<Record<string, unknown>>,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const exporter = fiber.getRef(CurrentSpanExporter)
    if (exporter === undefined || !exporter.isSampled()) return work
    const end = (span: Tracer.Span, exit: Exit.Exit<A, E>) =>
      Effect.sync(() => {
        for (const [key, value] of Object.entries(attributes(exit))) {
          span.attribute(key, typeof value === "string" ? value.slice(0, maxAttributeLength) : value)
        }
        span.end(fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(), exit)
      })
    return Effect.makeSpan(name, { root: true }).pipe(
      Effect.provideService(Tracer.Tracer, exporter.tracer),
      // Only for this span: the tracer stays disabled for what the work calls.
      Effect.provideService(References.TracerEnabled, true),
      Effect.flatMap((span) =>
        Effect.onExit(work, (exit) => end(span, exit)).pipe(Effect.provideService(Tracer.ParentSpan, span))
      )
    )
  })
