/**
 * What clients together may take of the daemon, in numbers.
 *
 * With all of it taken connections have less than 540 MiB: 26 KiB each, 64 MiB for
 * what they hold, and some times the 16 of the large requests at work while these are
 * decoded. docs/reliability.md adds up the whole process. What one line may hold is
 * said in `Protocol.ts`. An idle connection is never cut off: callers keep them open.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Connections at a time. A low cap would let one client that opens many keep the others out. */
const connectionLimit = 12_000

/** Files the daemon needs beside those it has open at its start: writing the store, and three for each command it runs. */
const spareFiles = 128

/** All that connections hold at a time: bytes not yet worked off, lines that have not ended, replies not yet taken. */
export const maxBufferedBytes = 64 * mebibyte

/** A request up to this long is small: all connections together can have no more than 48 MiB of them at work. */
export const smallRequestBytes = 4 * kibibyte
/** Larger requests wait for one another beyond this, so that decoding them does not add up. */
export const largeRequestBudget = 16 * mebibyte

/** From its first byte to its end; the longest line takes that long at 280 KiB a second. */
export const lineDeadline = Duration.seconds(30)
export const lineDeadlineNanos = BigInt(Duration.toMillis(lineDeadline)) * 1_000_000n

/** For a client that takes nothing of its replies. */
export const writeTimeout = Duration.seconds(5)
/** A reply is written in pieces of this size; one taken is a sign of life. */
export const replyChunkBytes = 64 * kibibyte

/** Requests a client has answered in its turn when it has sent many at once: under a millisecond of work. */
export const requestsPerTurn = 16

/** Times that everybody else is heard in between: a small request takes about as many until it is answered. */
export const yieldsPerTurn = 8

/** Entries or leases in a reply, unless the client asks for a number, and at most. */
export const defaultReplyCount = 100
export const maxReplyCount = 10_000
/** The characters of these in one reply: ten thousand have 4 MB, but names can be long, and many clients can ask at once. */
export const maxReplyText = 8 * mebibyte

/** A longer line or text takes its time to be read or written out, and nobody is heard meanwhile. */
export const bulkBytes = 16 * kibibyte
/** A list of more entries does as well. */
export const bulkListLength = 100
/** What everybody else has before each such work: time for several small requests. */
export const yieldInterval = Duration.millis(5)

/** The connections that the system lets this process have, which has everything open by now but those. */
export const maxConnections = (): number => {
  const files = maxFiles()
  if (files === undefined) return connectionLimit
  const left = files - openFiles() - Math.min(spareFiles, Math.floor(files / 8))
  return Math.max(1, Math.min(connectionLimit, left))
}

/** What the system says; undefined where there is no limit. Node knows it as well, but takes two milliseconds to tell. */
const maxFiles = (): number | undefined => {
  try {
    const [, soft] = /^Max open files +(\d+) /m.exec(fs.readFileSync("/proc/self/limits", "latin1")) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    const report = decodeReport(process.report.getReport())
    const files = Option.isSome(report) ? report.value.userLimits.open_files.soft : undefined
    return typeof files === "number" ? files : undefined
  }
}

const openFiles = (): number => {
  try {
    return fs.readdirSync("/dev/fd").length
  } catch {
    return spareFiles
  }
}

const decodeReport = Schema.decodeUnknownOption(
  Schema.Struct({
    userLimits: Schema.Struct({ open_files: Schema.Struct({ soft: Schema.Union([Schema.Number, Schema.String]) }) })
  })
)
