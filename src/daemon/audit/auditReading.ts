/**
 * Reads the entries of the audit log, of all its files, forwards and backwards.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isChained, sha256 } from "../../domain/AuditChain.ts"
import { type AuditEntry, decodeEntry } from "../../domain/AuditEntry.ts"
import { readFailed } from "./AuditLogError.ts"
import type { AuditPosition } from "./AuditPosition.ts"
import type { openLog } from "./LogFile.ts"
import { readForwards } from "./verifyAuditLog.ts"

/** Returns the reading members of `AuditLog`. */
export const auditReading = (log: Effect.Success<ReturnType<typeof openLog>>["log"], path: string) => {
  const tail = Effect.fn("AuditLog.tail")(function* (count: number, length = Number.POSITIVE_INFINITY) {
    const entries: Array<AuditEntry> = []
    let read = 0
    if (count > 0) {
      yield* log.readBackwards((line) => {
        const entry = decodeEntry(line)
        read += line.length
        if (Option.isSome(entry)) entries.push(entry.value)
        return entries.length < count && read < length
      })
    }
    return entries.toReversed()
  }, Effect.mapError(readFailed))

  const since = Effect.fn("AuditLog.since")(function* (position: Pick<AuditPosition, "seq" | "line">) {
    const entries: Array<AuditEntry> = []
    let isFound = position.seq === 0
    yield* log.readBackwards((line) => {
      const entry = Option.getOrUndefined(decodeEntry(line))
      if (entry === undefined) return true
      const isAfter = !isChained(entry) || entry.seq > position.seq
      if (isAfter) entries.push(entry)
      else isFound = entry.seq === position.seq && sha256(`${line}\n`) === position.line
      return isAfter
    })
    return isFound ? Option.some(entries.toReversed()) : Option.none()
  }, Effect.mapError(readFailed))

  return {
    tail,
    since,
    readBackwards: (visit: (line: string) => boolean) => Effect.mapError(log.readBackwards(visit), readFailed),
    readForwards: (visit: (line: string) => void, pause: Effect.Effect<void>) =>
      Effect.mapError(
        readForwards(path, (line) => visit(line.toString("utf8", 0, line.length - 1)), pause),
        readFailed
      )
  }
}
