/**
 * runs.json: how the runs of the daemon began and ended.
 *
 * It is written at each start and each stop. No start depends on it: an unreadable file
 * is renamed, and a failed write is logged.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as fs from "node:fs"
import * as RunHistory from "../../domain/runHistory.ts"
import { fromMillis, type Timestamp } from "../../domain/Timestamp.ts"
import { renameDurably, replaceFileSync } from "../files/durableFile.ts"
import type { PinnedDirectory } from "../files/pinDirectory.ts"
import { readOrSetAside } from "../files/setAside.ts"

/** Reads the file; an empty history if there is none. */
export const readRuns = Effect.fn("readRuns")(
  function* (file: string, own: PinnedDirectory) {
    const { contents } = yield* readOrSetAside(file)
    if (contents === undefined) return RunHistory.noRuns
    const history = RunHistory.decodeRunHistory(contents.toString("utf8"))
    if (Option.isSome(history)) return history.value
    const aside = `${file}.unreadable`
    yield* own.check
    yield* renameDurably(file, aside)
    yield* Effect.logWarning(
      `${file} is unreadable, so the end of the last runs is unknown; it was renamed to ${aside}`
    )
    return RunHistory.noRuns
  },
  Effect.catchTag("FileError", (error) => Effect.as(Effect.logWarning(error.message), RunHistory.noRuns))
)

/**
 * Replaces the file; a failure is only logged. On a full disk the file is overwritten, as far as its blocks reach:
 * otherwise an orderly end would look like a crash.
 */
export const writeRuns = (file: string, own: PinnedDirectory, history: RunHistory.RunHistory): Effect.Effect<void> => {
  const text = RunHistory.encodeRunHistory(history)
  return Effect.andThen(own.check, replaceFileSync(file, text)).pipe(
    Effect.catchTag("FileError", (error) =>
      overwritten(file, own, text) ? Effect.void : Effect.logWarning(error.message)
    )
  )
}

/** Overwrites a file without a new inode or block; returns whether it did. */
const overwritten = (file: string, own: PinnedDirectory, text: string): boolean => {
  if (own.status() !== "same") return false
  try {
    const descriptor = fs.openSync(file, fs.constants.O_WRONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK)
    try {
      const { blocks } = fs.fstatSync(descriptor)
      const bytes = Buffer.from(text, "utf8")
      if (bytes.length > blocks * blockSize) return false
      fs.writeSync(descriptor, bytes, 0, bytes.length, 0)
      fs.ftruncateSync(descriptor, bytes.length)
      fs.fsyncSync(descriptor)
      return true
    } finally {
      fs.closeSync(descriptor)
    }
  } catch {
    return false
  }
}

/** The unit of `blocks` in stat(2). */
const blockSize = 512

/** Records the start of a run, and its end when the scope closes; a failed start is an end too. */
export const recordRun = Effect.fn("recordRun")(function* (
  file: string,
  own: PinnedDirectory,
  startedAt: Timestamp,
  crash: boolean,
  supervised: boolean
) {
  let history = RunHistory.beginRun(yield* readRuns(file, own), process.pid, startedAt, crash, supervised)
  let exitReason = "it was stopped while it started"
  const change = (next: RunHistory.RunHistory) =>
    Effect.andThen(
      Effect.sync(() => void (history = next)),
      writeRuns(file, own, next)
    )
  yield* change(history)
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const hasFailed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      const [because, how] = hasFailed ? ([messageOf(exit.cause), kindOf(exit.cause)] as const) : [exitReason]
      return change(RunHistory.endRun(history, fromMillis(now), because, how))
    })
  )
  return {
    runs: Effect.sync(() => history),
    markCrashLoopReported: Effect.suspend(() => change(RunHistory.markCrashLoopReported(history))),
    setAuditEnd: (audit: { readonly seq: number; readonly hash: string }) =>
      Effect.sync(() => void (history = RunHistory.withAuditEnd(history, audit))),
    setExitReason: (reason: string) => Effect.sync(() => void (exitReason = reason))
  }
})

/** Returns how a start ended that failed. An expected error is a refusal; only an unreadable store or a defect is a fault. */
const kindOf = (cause: Cause.Cause<unknown>): "failed" | "refused" =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => "failed",
    onSome: (error) => (Predicate.isTagged(error, "StoreUnreadable") ? "failed" : "refused")
  })

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}
