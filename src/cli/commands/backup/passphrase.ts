/**
 * The passphrase of a backup: from a file, or asked for on the terminal without echo.
 */
import * as Effect from "effect/Effect"
import { failUsage } from "../../command/CommandError.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { promptHidden } from "../add/readValue.ts"
import { dataError, readBackup } from "./backupFile.ts"

/** Shorter ones are found by trying, also with scrypt. */
const minLength = 8

/** Returns the passphrase; `isNew` asks for it twice, and rejects a short one. */
export const readPassphrase = Effect.fnUntraced(function* (file: string | undefined, isNew: boolean) {
  const passphrase = yield* file === undefined ? ask(isNew) : inFile(file)
  if (isNew && passphrase.length < minLength) {
    return yield* dataError(`the passphrase has fewer than ${minLength} characters`, "Choose a longer one")
  }
  return passphrase
})

const inFile = (file: string) =>
  Effect.map(readBackup(file), (contents) => contents.toString("utf8").split(/\r?\n/, 1)[0] ?? "")

const ask = Effect.fnUntraced(function* (isNew: boolean) {
  if (!isInteractive()) {
    return yield* failUsage(
      "a passphrase is needed, and there is no terminal to ask on",
      "Use --passphrase-file PATH, or a key: --recipient for a backup, --identity for a restore"
    )
  }
  const passphrase = yield* promptHidden("Passphrase of the backup")
  if (isNew && (yield* promptHidden("The same again")) !== passphrase) {
    return yield* dataError("the two passphrases differ", "Run it again. Nothing was written")
  }
  return passphrase
})
