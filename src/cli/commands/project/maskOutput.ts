/**
 * Forwards the output of a program with the values masked, and with backpressure. A reader
 * that closes our output closes the program's output too. After the program's exit, output of
 * processes that still hold its pipes is forwarded while it keeps coming.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import type { Masker } from "../../../domain/Masker.ts"
import type { RunningChild } from "./runChild.ts"

/** A prompt may be late by this much; writes that belong together come closer. */
const releaseDelay = Duration.millis(50)
/** After the exit of the program: longer than it takes to drain a pipe. */
const drainTimeout = Duration.millis(200)

export const maskOutput =
  (makeMasker: () => Masker) =>
  ({ exited, outputs: [out = null, err = null], stopRequested }: RunningChild): Effect.Effect<void> => {
    // After the exit, each further chunk has to come within the drain timeout.
    const over = Effect.raceFirst(Effect.andThen(exited, Effect.sleep(drainTimeout)), stopRequested)
    const forward = (from: Readable | null, to: Writable) => forwardMasked(from, to, makeMasker(), over)
    return Effect.all([forward(out, process.stdout), forward(err, process.stderr)], { concurrency: 2, discard: true })
  }

type ReadEvent = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "end" | "late" | "over" }

/** Forwards one stream to its end, or until `over`, which runs again for each chunk. */
export const forwardMasked = Effect.fnUntraced(function* (
  from: Readable | null,
  to: Writable,
  masker: Masker,
  over: Effect.Effect<void>
) {
  if (from === null) return
  const reader = { isOpen: true }
  to.on("error", () => {
    reader.isOpen = false
    from.destroy()
  })
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
      yield* write(to, masker.release())
    } else if (event.kind === "bytes") {
      yield* write(to, masker.push(event.bytes))
      reading = read()
    } else {
      break
    }
  }
  yield* write(to, masker.end())
  from.destroy()
})

const write = (to: Writable, bytes: Buffer): Effect.Effect<void> =>
  bytes.length === 0 || to.destroyed
    ? Effect.void
    : Effect.callback<void>((resume) => void to.write(bytes, () => resume(Effect.void)))
