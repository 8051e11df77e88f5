/**
 * Loads the exposure at a start: exposure.json, and the entries of the log that it lacks.
 *
 * The file counts if an entry names its hash. An older one that was put back counts too: the log
 * has what it lacks, or that is reported. Where the log names none, the file adds to what the log
 * has, and hides nothing of it. One that was changed is set aside.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeChainedEntry, sha256 } from "../../domain/AuditChain.ts"
import { type AuditFact, decodeEntry } from "../../domain/AuditEntry.ts"
import { changeFailedFact } from "../../domain/storeFacts.ts"
import { Exposure, type LogPlace } from "../../domain/Exposure.ts"
import { decodeExposure, exposureChanged, ExposureNames, exposureUnnamed } from "../../domain/exposureFile.ts"
import { fromMillis, parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { UnwrittenChange } from "../../domain/unwrittenChange.ts"
import { type FileError, renameDurably } from "../files/durableFile.ts"
import { damagedName, readOrSetAside } from "../files/setAside.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditLogError } from "./AuditLogError.ts"
import type { AuditPosition } from "./AuditPosition.ts"

export interface LoadedExposure {
  readonly exposure: Exposure
  readonly doubt: string | undefined
  /** The number of the last entry that exposure.json includes. */
  readonly saved: number
  /** A change that was recorded and not written, as entries that take it back. */
  readonly corrections: ReadonlyArray<AuditFact>
}

export interface LoadOptions {
  /** The last entry to count. */
  readonly start: AuditPosition
  readonly pause: Effect.Effect<void>
  readonly check: Effect.Effect<void, FileError>
}

export const loadExposure = Effect.fn("loadExposure")(function* (
  path: string,
  { check, pause, start }: LoadOptions
): Effect.fn.Return<LoadedExposure, FileError | AuditLogError, AuditLog> {
  const audit = yield* AuditLog
  const stored = yield* readStored(path, pause, check)
  const { exposure } = stored
  const log = yield* readLog(exposure, stored.saved, start, pause)
  exposure.from ??= log.first
  const isGap = stored.saved > 0 && log.first.seq > stored.saved + 1
  const problem =
    stored.problem ??
    (stored.isMissing ? log.names.problemOf(undefined, log.first.seq) : undefined) ??
    (isGap
      ? `exposure.json ends with entry ${stored.saved}, and the log begins with entry ${log.first.seq}`
      : undefined)
  if (stored.doubtful !== undefined) exposure.addDoubtful(stored.doubtful)
  if (problem !== undefined) yield* audit.report([problem])
  // They name no store: another change may be recorded before them.
  const corrections = log.unwritten
    .end(audit.storeAtStart)
    .map(({ action, secret_name = "" }) => changeFailedFact({ action, secret_name, success: true }))
  return { exposure, doubt: problem, saved: stored.saved, corrections }
})

/** Reads exposure.json. `saved` is 0 if the whole log has to be read. */
const readStored = Effect.fnUntraced(function* (
  path: string,
  pause: Effect.Effect<void>,
  check: Effect.Effect<void, FileError>
) {
  const none = { exposure: new Exposure(), doubtful: undefined, saved: 0, isMissing: true, problem: undefined }
  const { contents } = yield* readOrSetAside(path)
  if (contents === undefined) return none
  const { isNamed, namedBy } = yield* findName(sha256(contents))
  const { findings } = yield* Effect.flatMap(AuditLog, (audit) => audit.diagnostics)
  // The entries that name it may be those that are missing.
  const isUnnamed = namedBy === 0 || findings.length > 0
  const decoded = isNamed || isUnnamed ? yield* inSteps(decodeExposure(contents.toString("utf8")), pause) : undefined
  if (decoded !== undefined && isNamed) {
    return { ...none, exposure: decoded.exposure, saved: decoded.seq, isMissing: false }
  }
  const problem = namedBy === 0 ? exposureUnnamed : exposureChanged(namedBy)
  if (decoded !== undefined) return { ...none, doubtful: decoded.exposure, isMissing: false, problem }
  yield* check
  const aside = yield* damagedName(path)
  yield* renameDurably(path, aside)
  yield* Effect.logWarning(`${path} is not the one that was written; it was renamed to ${aside}`)
  return { ...none, isMissing: false, problem }
})

/** Finds the last entry that names exposure.json, or else one that names this version of it. */
const findName = Effect.fnUntraced(function* (hash: string) {
  const audit = yield* AuditLog
  let [isNamed, namedBy] = [false, 0]
  yield* audit.readBackwards((line) => {
    const entry = line.includes('"exposure":"') ? Option.getOrUndefined(decodeChainedEntry(line)) : undefined
    if (entry?.exposure === undefined) return true
    namedBy = Math.max(namedBy, entry.seq)
    isNamed = entry.exposure === hash
    return !isNamed
  })
  return { isNamed, namedBy }
})

/** Only these lines can matter; decoding all of a long log would take much longer. */
const mayMatter = /"(?:action":"(?:lease_[ar]|run_|secret_|store_)|store":|exposure":)/
const placeInChain = /"seq":(\d+),"prev":"[0-9a-f]{64}"\}$/

/** Adds the entries after the number `saved`, up to the start. */
const readLog = Effect.fnUntraced(function* (
  exposure: Exposure,
  saved: number,
  start: AuditPosition,
  pause: Effect.Effect<void>
) {
  const audit = yield* AuditLog
  const unwritten = new UnwrittenChange()
  const now = yield* Clock.currentTimeMillis
  let first: LogPlace | undefined
  const names = new ExposureNames()
  let seq = 0
  const { from } = exposure
  yield* audit.readForwards((line) => {
    const place = placeInChain.exec(line)?.[1]
    seq = place === undefined ? seq : Number(place)
    const isFirst = first === undefined || (first.seq === 0 && place !== undefined)
    if (seq > start.seq || !(isFirst || mayMatter.test(line))) return
    const entry = Option.getOrUndefined(decodeEntry(line))
    if (entry === undefined) return
    const at = Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp)
    if (isFirst) {
      first = { seq, at: first?.at ?? at }
      if (from === undefined || seq > saved + 1) exposure.from = first
    }
    unwritten.add(entry)
    names.add(entry, seq)
    const isNew = place === undefined ? seq >= saved : seq > saved
    if (isNew) exposure.add(entry, at, seq, place === undefined || audit.isTrusted(entry))
  }, pause)
  return { unwritten, names, first: first ?? { seq: start.seq + 1, at: fromMillis(now) } }
})

/** Runs a generator to its end, with a pause after each step. */
const inSteps = <A>(steps: Generator<void, A>, pause: Effect.Effect<void>): Effect.Effect<A> =>
  Effect.gen(function* () {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return step.value
      yield* pause
    }
  })
