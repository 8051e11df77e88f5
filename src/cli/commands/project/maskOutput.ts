/**
 * Forwards the output of a program with the values masked, and with backpressure. An output
 * that takes no more closes the program's output too; the reason is printed, except for a closed pipe. After the program's exit, output of
 * processes that still hold its pipes is forwarded while it keeps coming.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import type { Masker } from "../../../domain/Masker.ts"
import { reasonOf } from "../../command/Output.ts"
import { printWarning } from "./requestedSecrets.ts"
import type { RunningChild } from "./runChild.ts"

/** A prompt may be late by this much; writes that belong together come closer. */
const releaseDelay = Duration.millis(50)
/** After the exit of the program: longer than it takes to drain a pipe. */
const drainTimeout = Duration.millis(200)

export const maskOutput =
  (makeMasker: () => Masker) =>
  ({ exited, outputs: [out = null, err = null], stopRequested }: RunningChild): Effect.Effect<boolean> => {
    // After the exit, each further chunk has to come within the drain timeout.
    const over = Effect.raceFirst(Effect.andThen(exited, Effect.sleep(drainTimeout)), stopRequested)
    const forward = (from: Readable | null, to: Writable) => forwardMasked(from, to, makeMasker(), over)
    return Effect.gen(function* () {
      const outcomes = yield* Effect.all([forward(out, process.stdout), forward(err, process.stderr)], {
        concurrency: 2
      })
      const reason = outcomes.find((outcome) => outcome !== undefined)
      if (reason !== undefined) yield* printWarning("exec", `cannot write the program's output: ${reason}`)
      return reason === undefined
    })
  }

type ReadEvent = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "end" | "late" | "over" }

/**
 * Forwards one stream to its end, or until `over`, which runs again for each chunk. Returns why output was lost;
 * undefined if none was, or it is not read.
 */
export const forwardMasked = Effect.fnUntraced(function* (
  from: Readable | null,
  to: Writable,
  masker: Masker,
  over: Effect.Effect<void>
) {
  if (from === null) return undefined
  const reader: { isOpen: boolean; failure?: string } = { isOpen: true }
  const close = (error: NodeJS.ErrnoException) => {
    reader.isOpen = false
    if (error.code !== "EPIPE") reader.failure ??= reasonOf(error)
    from.destroy()
  }
  to.on("error", close)
  const write = (bytes: Buffer): Effect.Effect<void> =>
    bytes.length === 0 || to.destroyed
      ? Effect.void
      : Effect.callback<void>(
          (resume) =>
            void to.write(bytes, (error) => {
              // The event may come after the end.
              if (error) close(error)
              resume(Effect.void)
            })
        )
  const chunks: AsyncIterator<unknown> = from[Symbol.asyncIterator]()
  const read = async (): Promise<ReadEvent> => {
    try {
      const { done, value } = await chunks.next()
      return done === true || !Buffer.isBuffer(value) ? { kind: "end" } : { kind: "bytes", bytes: value }
    } catch {
      return { kind: "end" }
    }
  }
  const late = Effect.as(Effect.sleep(releaseDelay), { kind: "late" } as const)
  const afterEnd = Effect.as(over, { kind: "over" } as const)
  let reading = read()
  while (reader.isOpen) {
    const next = Effect.raceFirst(
      Effect.promise(() => reading),
      afterEnd
    )
    const event: ReadEvent = yield* masker.mayRelease() ? Effect.raceFirst(next, late) : next
    if (event.kind === "late") {
      yield* write(masker.release())
    } else if (event.kind === "bytes") {
      yield* write(masker.push(event.bytes))
      reading = read()
    } else {
      break
    }
  }
  yield* write(masker.end())
  from.destroy()
  return reader.failure
})
