/**
 * The file of a backup: only its key opens it, every damage is noticed, and a write that failed
 * leaves the file that was there.
 */
import { assert, describe, it } from "@effect/vitest"
import { armor, generateX25519Identity, identityToRecipient } from "age-encryption"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import {
  decryptBackup,
  encryptBackup,
  needsPassphrase,
  recipientProblem,
  readIdentities,
  writeBackup
} from "../../../../src/cli/commands/backup/backupFile.ts"
import { readPassphrase } from "../../../../src/cli/commands/backup/passphrase.ts"
import { encodeStore, emptyStore } from "../../../../src/daemon/secrets/storeDocument.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const text = encodeStore(emptyStore)
/** A small work factor: the default takes a second. */
const byPassphrase = encryptBackup(text, { passphrase: "correct horse" }, 4)

describe("a backup file", () => {
  it.effect("is opened by its passphrase alone, also in the armor of the age command", () =>
    Effect.gen(function* () {
      const bytes = yield* byPassphrase
      assert.isTrue(needsPassphrase(bytes))
      assert.strictEqual(yield* decryptBackup(bytes, { passphrase: "correct horse" }, "f"), text)
      const armored = Buffer.from(armor.encode(bytes))
      assert.isTrue(needsPassphrase(armored))
      assert.strictEqual(yield* decryptBackup(armored, { passphrase: "correct horse" }, "f"), text)
      const { fix, message } = yield* Effect.flip(decryptBackup(bytes, { passphrase: "wrong horse" }, "f"))
      assert.strictEqual(message, "cannot open f: it is damaged, or for another passphrase")
      assert.strictEqual(fix, "Check the file and what opens it. Nothing was changed")
    })
  )

  it.effect("is rejected with any byte changed or cut off, and if it is no age file", () =>
    Effect.gen(function* () {
      const bytes = yield* byPassphrase
      for (const at of [30, 60, bytes.length - 40, bytes.length - 1]) {
        const broken = Uint8Array.from(bytes)
        broken[at] = (broken[at] ?? 0) ^ 1
        yield* Effect.flip(decryptBackup(broken, { passphrase: "correct horse" }, "f"))
        yield* Effect.flip(decryptBackup(bytes.subarray(0, at), { passphrase: "correct horse" }, "f"))
      }
      for (const other of ["", "x", "-----BEGIN AGE ENCRYPTED FILE-----\n!", "age-encryption.org/v2\n-> scrypt "]) {
        assert.isUndefined(needsPassphrase(Buffer.from(other)), other)
      }
    })
  )

  it.effect("is opened by the key of each recipient, has mode 0600, and replaces nothing if it cannot be written", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [file, keys] = [path.join(directory, "b"), path.join(directory, "keys")]
      const identities = yield* Effect.promise(() => Promise.all([generateX25519Identity(), generateX25519Identity()]))
      const recipients = yield* Effect.promise(() => Promise.all(identities.map((one) => identityToRecipient(one))))
      yield* writeBackup(file, text, { recipients })
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      for (const identity of identities) {
        fs.writeFileSync(keys, `# made up\n${identity}\n`)
        const opener = { identities: yield* readIdentities(keys) }
        assert.strictEqual(yield* decryptBackup(fs.readFileSync(file), opener, file), text)
      }
      fs.writeFileSync(keys, "no key\n")
      assert.include((yield* Effect.flip(readIdentities(keys))).message, "holds no age identity")
      const before = fs.readFileSync(file)
      const { message } = yield* Effect.flip(writeBackup(path.join(file, "below"), text, { recipients }))
      assert.match(message, /^cannot write /)
      yield* Effect.flip(writeBackup(file, text, { recipients: ["age1nonsense"] }))
      assert.deepStrictEqual([fs.readFileSync(file), fs.readdirSync(directory).toSorted()], [before, ["b", "keys"]])
    })
  )

  it.live("is opened by a passphrase from a pipe too, and a directory holds none", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const pipe = path.join(directory, "pipe")
      execFileSync("mkfifo", [pipe])
      spawn("/bin/sh", ["-c", 'printf "correct horse\\n" > "$1"', "sh", pipe])
      assert.strictEqual(yield* readPassphrase(pipe, true), "correct horse")
      const { message } = yield* Effect.flip(readPassphrase(directory, false))
      assert.strictEqual(message, `cannot read ${directory}: EISDIR: illegal operation on a directory`)
    })
  )

  it.effect("is encrypted to a recipient that age accepts; for any other text the problem is named", () =>
    Effect.gen(function* () {
      const identity = yield* Effect.promise(() => generateX25519Identity())
      const recipient = yield* Effect.promise(() => identityToRecipient(identity))
      assert.isUndefined(recipientProblem(recipient))
      const last = recipient.endsWith("q") ? "p" : "q"
      for (const [given, message] of [
        [recipient.slice(0, -1) + last, /mistyped/],
        [recipient.slice(0, -1), /mistyped/],
        ["age1", /mistyped/],
        ["ssh-ed25519 AAAA", /begins with age1/],
        [identity, /this is a secret one/]
      ] as const) {
        const [text = "", fix = ""] = recipientProblem(given) ?? []
        assert.match(text, message)
        assert.notInclude(text + fix, given)
      }
    })
  )
})
