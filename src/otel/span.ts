/**
 * What a span says of its work, where spans are sent and this one is among them;
 * elsewhere it costs a look and nothing is built.
 */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/** Adds attributes to the span under way. There is never a value in them. */
export const describeSpan = (attributes: () => Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = fiber.cache.span
    // Effect's own spans are sent nowhere; to ask for the tracer would cost more than the rest.
    if (span?._tag === "Span" && span.sampled && !(span instanceof Tracer.NativeSpan)) {
      for (const [name, value] of Object.entries(attributes())) span.attribute(name, value)
    }
    return Effect.void
  })
