/** Reads a store as any program of age does, with its key. */
import { Decrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"

/** Returns the text of the store in a state directory. */
export const readStore = (directory: string) =>
  Effect.promise(async () => {
    const decrypter = new Decrypter()
    decrypter.addIdentity(fs.readFileSync(path.join(directory, "identity.age"), "utf8"))
    return decrypter.decrypt(fs.readFileSync(path.join(directory, "secrets.age")), "text")
  })
