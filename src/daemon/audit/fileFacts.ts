/**
 * What happened to the file of the audit log, as facts: a torn last line, and what another process did.
 */
import * as Effect from "effect/Effect"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { auditDamagedFact, fileRepairedFact } from "../../domain/daemonFacts.ts"
import { counted } from "../../domain/counted.ts"
import type { FileChange, TornTail } from "./LogFile.ts"

/** Returns the repair of a last line that a crash had torn. */
export const tornFacts = (torn: TornTail | undefined): ReadonlyArray<AuditFact> => {
  if (torn === undefined) return []
  const cutOff = torn.savedAs === undefined ? "cut off, and not saved" : `cut off, and saved as ${torn.savedAs}`
  const repair = torn.repair === "completed" ? "its missing line feed was added" : cutOff
  return [fileRepairedFact(`the last line of the audit log was torn after ${counted(torn.bytes, "byte")}: ${repair}`)]
}

/** Logs what another process did to the file, and returns it as facts for the audit log. */
export const reportFileChange = Effect.fnUntraced(function* (change: Exclude<FileChange, { readonly _tag: "Same" }>) {
  const damage = {
    Moved: () => "another process moved or removed the log while the daemon ran; it continues in a new file",
    Shorter: (bytes: number) =>
      `another process cut off the last ${counted(bytes, "byte")} of the log while the daemon ran`,
    Longer: (bytes: number) => `another process wrote ${counted(bytes, "byte")} into the log while the daemon ran`
  }[change._tag]("bytes" in change ? change.bytes : 0)
  yield* Effect.logWarning(`audit log: ${damage}`)
  return [auditDamagedFact(damage)]
})
