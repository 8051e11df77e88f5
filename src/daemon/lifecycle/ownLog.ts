/**
 * Cuts the daemon's own log file under launchd, which keeps it open and rotates nothing. The end of
 * what is cut stays beside it, as `.old`; a file of that name which another program made is kept.
 *
 * Only a file of this user at a place where the service logs is cut. systemd's journal has limits.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { attemptSync, renameDurably, replaceFileSync } from "../files/durableFile.ts"
import { pinDirectory, statIfPresent } from "../files/pinDirectory.ts"

export interface OwnLog {
  /** Where the service logs. */
  readonly places: ReadonlyArray<string>
  readonly descriptor: number
  /** Of the log, and of what is kept of it. */
  readonly maxBytes: number
}

/** Returns the log that the logger writes to. */
export const ownLog = (places: ReadonlyArray<string>): OwnLog => ({ places, descriptor: 2, maxBytes: 8 * 1024 * 1024 })

const checkInterval = "1 hour"

/** Looks at the start and every hour. */
export const limitOwnLog = Effect.fn("limitOwnLog")(function* (log: OwnLog) {
  while (true) {
    const outcome = yield* Effect.scoped(cutLog(log)).pipe(
      Effect.catchTag("FileError", (error) => Effect.as(Effect.logWarning(error.message), "failed" as const))
    )
    if (outcome === "not appended to")
      yield* Effect.logWarning("the log is not opened for appending; it stays as it is")
    if (outcome === "no log" || outcome === "not appended to") return yield* Effect.never
    yield* Effect.sleep(checkInterval)
  }
})

/** Cuts the log if it is too long. The line about it shows whether the log is written at its new end. */
export const cutLog = Effect.fnUntraced(function* ({ descriptor, maxBytes, places }: OwnLog) {
  const before = yield* attemptSync("stat", "the log", () => fs.fstatSync(descriptor))
  const file = before.isFile() && before.uid === process.geteuid?.() ? places.find(isAt(before)) : undefined
  if (file === undefined) return "no log"
  if (before.size <= maxBytes) return "short"
  if (!mayAppend(descriptor)) return "not appended to"
  const { check } = yield* pinDirectory(path.dirname(file))
  const end = yield* attemptSync("read", file, () => readFrom(file, before.size - maxBytes, 2 * maxBytes))
  yield* check
  const old = `${file}.old`
  yield* keepForeign(old)
  yield* replaceFileSync(old, `${cutMark}${end}`)
  yield* attemptSync("truncate", file, () => fs.ftruncateSync(descriptor, 0))
  yield* Effect.logInfo(`the log was cut; ${old} has the end of what was there`)
  const after = yield* attemptSync("stat", file, () => fs.fstatSync(descriptor))
  return after.size < before.size ? "cut" : "not appended to"
})

/** The first line of a file that this program has cut. */
const cutMark = "[agent-secrets cut the lines before]\n"

/** Renames a file that another program rotated to this name. */
const keepForeign = Effect.fnUntraced(function* (old: string) {
  if (statIfPresent(old) === undefined) return
  const start = yield* attemptSync("read", old, () => readFrom(old, 0, Buffer.byteLength(cutMark)))
  if (start === cutMark) return
  const kept = `${old}.${yield* Clock.currentTimeMillis}`
  yield* renameDurably(old, kept)
  yield* Effect.logWarning(`${old} is of another program; it was renamed to ${kept}`)
})

/** Returns whether the descriptor is open for appending, as far as the system says so; the next line shows it elsewhere. */
const mayAppend = (descriptor: number): boolean => {
  try {
    const [, flags = "0"] =
      /^flags:\s*([0-7]+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8")) ?? []
    return (Number.parseInt(flags, 8) & fs.constants.O_APPEND) !== 0
  } catch {
    return true
  }
}

const isAt =
  ({ dev, ino }: fs.Stats) =>
  (file: string): boolean => {
    const found = statIfPresent(file)
    return found?.dev === dev && found.ino === ino
  }

const readFrom = (file: string, from: number, atMost: number): string => {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK)
  try {
    const bytes = Buffer.alloc(Math.min(atMost, Math.max(0, fs.fstatSync(descriptor).size - from)))
    return bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, bytes.length, from))
  } finally {
    fs.closeSync(descriptor)
  }
}
