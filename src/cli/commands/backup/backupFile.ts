/**
 * A backup file: the text of a store, encrypted with age to a passphrase or to recipients. The
 * `age` command opens it too. It is written whole, with mode 0600, and read again.
 */
import { armor, Decrypter, Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { readIfPresent, replaceFile } from "../../../daemon/files/durableFile.ts"
import { keysIn } from "../../../daemon/secrets/ageFile.ts"
import { decodeStore } from "../../../daemon/secrets/storeDocument.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { readPath } from "../../../process/standardInput.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { CommandError } from "../../command/CommandError.ts"

/** Who can open a backup. */
export type BackupKey = { readonly passphrase: string } | { readonly recipients: ReadonlyArray<string> }

/** What opens a backup. */
export type BackupOpener = { readonly passphrase: string } | { readonly identities: ReadonlyArray<string> }

/** Encrypts the text of a store. `workFactor` is scrypt's, as a power of two; the default of the library takes about a second. */
export const encryptBackup = (text: string, key: BackupKey, workFactor?: number) =>
  Effect.tryPromise({
    try: () => {
      const encrypter = new Encrypter()
      if ("passphrase" in key) encrypter.setPassphrase(key.passphrase)
      else for (const recipient of key.recipients) encrypter.addRecipient(recipient)
      if (workFactor !== undefined) encrypter.setScryptWorkFactor(workFactor)
      return encrypter.encrypt(text)
    },
    catch: () => dataError("the backup could not be encrypted", "Name other recipients")
  })

/** Returns what is wrong with a recipient, and what to do; undefined if it can be encrypted to. */
export const recipientProblem = (recipient: string): readonly [message: string, fix: string] | undefined => {
  if (/^AGE-SECRET-KEY-/i.test(recipient))
    return ["--recipient takes the public key, and this is a secret one", "Print the public one: age-keygen -y KEYFILE"]
  if (!recipient.startsWith("age1"))
    return ["--recipient takes a key that begins with age1", "Make one: age-keygen -o key.txt"]
  try {
    new Encrypter().addRecipient(recipient)
    return undefined
  } catch {
    const message = "--recipient is no key of age: a part of it is missing, mistyped, or for a plugin"
    return [message, "Copy it again, as age-keygen -y KEYFILE prints it"]
  }
}

/** Returns the text of the store in a backup; fails if the file is damaged, incomplete or for another key. */
export const decryptBackup = (bytes: Uint8Array, opener: BackupOpener, named: string) =>
  Effect.tryPromise({
    try: () => {
      const decrypter = new Decrypter()
      if ("passphrase" in opener) decrypter.addPassphrase(opener.passphrase)
      else for (const identity of opener.identities) decrypter.addIdentity(identity)
      return decrypter.decrypt(binaryOf(bytes), "text")
    },
    catch: () =>
      dataError(
        `cannot open ${escapeValue(named)}: it is damaged, or for another ${"passphrase" in opener ? "passphrase" : "key"}`,
        "Check the file and what opens it. Nothing was changed"
      )
  })

/** Returns whether a passphrase opens the file; undefined if it is no age file. */
export const needsPassphrase = (bytes: Uint8Array): boolean | undefined => {
  try {
    const [intro, stanza = ""] = Buffer.from(binaryOf(bytes)).toString("latin1").split("\n", 2)
    return intro === "age-encryption.org/v1" ? stanza.startsWith("-> scrypt ") : undefined
  } catch {
    return undefined
  }
}

const binaryOf = (bytes: Uint8Array): Uint8Array => {
  const text = Buffer.from(bytes.subarray(0, 40)).toString("latin1")
  return text.startsWith("-----BEGIN AGE") ? armor.decode(Buffer.from(bytes).toString("latin1")) : bytes
}

/** Writes the file and reads it again. With a passphrase it is opened, and every secret in it is compared. */
export const writeBackup = Effect.fnUntraced(function* (file: string, text: string, key: BackupKey) {
  const bytes = yield* encryptBackup(text, key)
  yield* Effect.mapError(replaceFile(file, [bytes]), ({ message }) =>
    ioError(message, "Name a file in a directory that you may write to")
  )
  const read = yield* Effect.mapError(readIfPresent(file), ({ message }) => ioError(message, writeAgain))
  const isWhole = read !== undefined && Buffer.compare(read, bytes) === 0
  if (!isWhole) return yield* ioError(`${escapeValue(file)} is not what was written to it`, writeAgain)
  if (!("passphrase" in key)) return
  const opened = yield* decryptBackup(read, key, file)
  if (opened !== text || Result.isFailure(decodeStore(opened))) {
    return yield* ioError(`${escapeValue(file)} does not hold the store`, writeAgain)
  }
})

const writeAgain = "The backup is not usable. Check the disk, then write it again"

/** Reads the identities in a file of `age-keygen`. */
export const readIdentities = Effect.fnUntraced(function* (file: string) {
  const contents = yield* readBackup(file)
  const identities = keysIn(contents)
  if (identities.length > 0 && identities.every((one) => one.startsWith("AGE-SECRET-KEY-"))) return identities
  return yield* dataError(`${escapeValue(file)} holds no age identity`, "Name the file with --identity PATH")
})

/** Reads a file that must exist, or a pipe: a passphrase often comes from another program. */
export const readBackup = (file: string) =>
  Effect.mapError(readPath(file), (cause) => {
    return ioError(`cannot read ${escapeValue(file)}: ${fileErrorText(cause)}`, "Name another file")
  })

export const exists = (file: string): boolean => fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined

export const dataError = (message: string, fix: string) =>
  new CommandError({ message, fix, code: "data_error", exitStatus: exitStatus.usage })

const ioError = (message: string, fix: string) =>
  new CommandError({ message, fix, code: "io_error", exitStatus: exitStatus.failed })
