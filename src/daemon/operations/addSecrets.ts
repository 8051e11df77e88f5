/**
 * addSecret, importSecrets: add secrets, and name the existing ones that look like them. An
 * import writes the store once: all of it is added, or nothing.
 */
import * as Effect from "effect/Effect"
import { lookalikes } from "../../domain/lookalike.ts"
import type { NewSecret } from "../secrets/OpenedStore.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { endStored } from "./requests.ts"

export const addSecret = Effect.fnUntraced(function* (secret: NewSecret) {
  const secrets = yield* SecretStore
  const existing = yield* secrets.names
  yield* secrets.add(secret)
  yield* endStored([secret.name])
  return { looksLike: lookalikes([secret.name], existing) }
})

export const importSecrets = Effect.fnUntraced(function* (given: ReadonlyArray<NewSecret>, mayUpdate: boolean) {
  const secrets = yield* SecretStore
  const before = yield* secrets.names
  const existing = yield* secrets.addMany(given, mayUpdate)
  const names = given.map(({ name }) => name)
  yield* endStored(names)
  return { existing, looksLike: lookalikes(names, [...new Set([...before, ...names])]) }
})
