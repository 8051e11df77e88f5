/**
 * A store in a temporary directory, opened as often as a test needs, and read as the `age` command would.
 */
import { Decrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as path from "node:path"
import type { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { SecretStore } from "../../src/daemon/secrets/SecretStore.ts"
import type { StoreMemory } from "../../src/daemon/secrets/storeFiles.ts"
import { memoryAuditLog } from "./memoryAuditLog.ts"
import { temporaryDirectory } from "./temporary.ts"

/** Opens the store as another process would, or in this one with a memory. */
export const openSession = <A, E>(
  directory: string,
  program: Effect.Effect<A, E, SecretStore | AuditLog>,
  memory?: StoreMemory
) =>
  Effect.provide(
    program,
    Layer.fresh(SecretStore.layer(storePaths(directory), memory).pipe(Layer.provideMerge(memoryAuditLog)))
  )

export const storePaths = (directory: string) => ({
  identity: path.join(directory, "identity.age"),
  secrets: path.join(directory, "secrets.age")
})

/** A new state directory, and another one beside it. */
export const storeDirectories = Effect.map(temporaryDirectory, (home) => {
  const [directory, other] = [path.join(home, "state"), path.join(home, "other")]
  fs.mkdirSync(directory)
  fs.mkdirSync(other)
  return { home, directory, other, ...storePaths(directory) }
})

/** The values of the open store, as `name=value`. */
export const storedValues = SecretStore.use((secrets) =>
  Effect.flatMap(secrets.list, (all) =>
    Effect.forEach(all, ({ name }) =>
      Effect.map(Effect.fromResult(secrets.get(name)), ({ value }) => `${name}=${Redacted.value(value)}`)
    )
  )
)

/** The text of an age file; undefined if this key does not open it. */
export const decryptFile = (identity: string, file: string) =>
  Effect.promise(async () => {
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    return decrypter.decrypt(fs.readFileSync(file), "text").catch(() => undefined)
  })
