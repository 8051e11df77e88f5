/**
 * Passes on what a program prints, with the values masked in it.
 *
 * A piece is read when the one before has been taken, so a slow reader slows the
 * program and nothing piles up. A reader that goes away ends the program's output,
 * as it would without us. When the program has ended, what others write who still
 * hold its output is passed on as long as it keeps coming.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import type { Masker } from "../../../domain/Masker.ts"
import type { RunningChild } from "./runChild.ts"

/** As long as nobody notices that a prompt is late; two writes of one text come closer together. */
const patience = Duration.millis(50)
/** After the end of the program: longer than it takes to get what is in a pipe. */
const quiet = Duration.millis(200)

export const maskOutput =
  (makeMasker: () => Masker) =>
  ({ ended, hurried, outputs: [out = null, err = null] }: RunningChild): Effect.Effect<void> => {
    // Whoever still writes after the end has that long for each piece.
    const over = Effect.raceFirst(Effect.andThen(ended, Effect.sleep(quiet)), hurried)
    return Effect.asVoid(
      Effect.all(
        [passThrough(out, process.stdout, makeMasker(), over), passThrough(err, process.stderr, makeMasker(), over)],
        {
          concurrency: 2
        }
      )
    )
  }

type Got = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "end" | "late" | "over" }

/** Passes on one stream to its end; `over` is awaited anew for each piece. */
export const passThrough = Effect.fnUntraced(function* (
  from: Readable | null,
  to: Writable,
  masker: Masker,
  over: Effect.Effect<void>
) {
  if (from === null) return
  const reader = { isThere: true }
  to.on("error", () => {
    reader.isThere = false
    from.destroy()
  })
  const pieces: AsyncIterator<unknown> = from[Symbol.asyncIterator]()
  const read = async (): Promise<Got> => {
    try {
      const { done, value } = await pieces.next()
      return done === true || !Buffer.isBuffer(value) ? { kind: "end" } : { kind: "bytes", bytes: value }
    } catch {
      return { kind: "end" }
    }
  }
  const late = Effect.as(Effect.sleep(patience), { kind: "late" } as const)
  const afterEnd = Effect.as(over, { kind: "over" } as const)
  let reading = read()
  while (reader.isThere) {
    const next = Effect.raceFirst(
      Effect.promise(() => reading),
      afterEnd
    )
    const got: Got = yield* masker.mayRelease() ? Effect.raceFirst(next, late) : next
    if (got.kind === "late") {
      yield* write(to, masker.release())
    } else if (got.kind === "bytes") {
      yield* write(to, masker.push(got.bytes))
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
