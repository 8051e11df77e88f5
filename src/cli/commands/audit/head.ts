/**
 * secrets audit --head: prints the last entry of the audit log as one line, its number, hash
 * and time. Kept elsewhere, it is evidence against a user who can write all the files.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { readLastEntry } from "../../../daemon/audit/verifyAuditLog.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { noAuditLog, unreadableLog } from "./verify.ts"

export const auditHeadReport = Effect.fnUntraced(function* (auditPath: string) {
  const last = yield* Effect.mapError(readLastEntry(auditPath), unreadableLog)
  if (Option.isNone(last)) return yield* noAuditLog(auditPath)
  const { hash, seq, timestamp } = last.value
  const output: Output = { lines: [`${seq} ${hash} ${timestamp}`], result: { seq, hash, timestamp } }
  return output
})

/** Returns the hash in what `--head` prints, or in a copy of its hash alone. */
export const parseHead = (given: ReadonlyArray<string>) => {
  const hash = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/i.exec(given.join(" "))?.[0].toLowerCase()
  return hash === undefined
    ? failUsage("HASH must be a SHA-256 in hexadecimal", "Give what this prints: secrets audit --head")
    : Effect.succeed(hash)
}
