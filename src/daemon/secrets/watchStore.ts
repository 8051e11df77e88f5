/**
 * Checks the files of the store before each change and every few seconds.
 *
 * What is missing is written again, and what another program has put there is reported: each
 * finding once, to the log and the audit log. The audit log keeps the hash of secrets.age.
 */
import * as Effect from "effect/Effect"
import { fileRepairedFact } from "../../domain/daemonFacts.ts"
import { storeReplacedFact, withStore } from "../../domain/storeFacts.ts"
import type { AgeError } from "./ageFile.ts"
import type { AuditLog } from "../audit/AuditLog.ts"
import type { FileError } from "../files/durableFile.ts"
import type { StoreReplaced } from "./KnownFile.ts"
import type { StoreFiles } from "./storeFiles.ts"

/** Returns the check, why the last one failed, and how to record that the store was written. */
export const watchStore = (files: StoreFiles, audit: AuditLog["Service"]) => {
  let failure: string | undefined
  const note = Effect.fnUntraced(function* (found: string | undefined) {
    const isNew = found !== failure
    const wasFailing = failure !== undefined
    failure = found
    if (isNew && found !== undefined) yield* Effect.logError(`the store rejects changes: ${found}`)
    if (found === undefined && wasFailing) yield* Effect.logInfo("the store accepts changes again")
    return isNew
  })
  let recorded: string | undefined
  const recordHash = Effect.suspend(() => {
    recorded = files.hash()
    return audit.recordStore(recorded)
  })
  const report = (details: string) =>
    Effect.andThen(
      Effect.logWarning(details),
      Effect.ignore(audit.append([withStore(fileRepairedFact(details), files.hash())]))
    )
  const reportRestored = Effect.fnUntraced(function* (restored: ReadonlyArray<string>) {
    for (const file of restored) yield* report(`${file} was missing and has been written again from memory`)
    if (files.hash() === recorded) return
    if (restored.length === 0) yield* report("secrets.age is another version that this daemon has written")
    yield* recordHash
  })
  const failed = Effect.fnUntraced(function* (error: FileError | AgeError | StoreReplaced) {
    const problem =
      error._tag === "StoreReplaced" ? `${error.problem}. ${replacedFix(yield* files.canOpen)}` : error.message
    const isNew = yield* note(problem)
    if (isNew && error._tag === "StoreReplaced") yield* Effect.ignore(audit.append([storeReplacedFact(error.problem)]))
    return yield* error
  })
  const check = files.restoreMissing.pipe(
    Effect.tap(reportRestored),
    Effect.andThen(note(undefined)),
    Effect.catch(failed),
    Effect.asVoid
  )
  return { check, failure: () => failure, recordHash }
}

/** Returns what a person can do about files of another program. A start would reject those that it cannot open. */
const replacedFix = (canOpen: boolean): string => {
  const keep = "Move it away, and the daemon will write its own version again"
  return canOpen ? `${keep}; or restart the daemon to use what is there` : keep
}
