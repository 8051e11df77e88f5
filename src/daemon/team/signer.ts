/** This machine as it signs statements about members: with the key that is derived from identity.age. */
import * as Effect from "effect/Effect"
import type { KeyObject } from "node:crypto"
import type { Config } from "../../domain/Config.ts"
import { attemptSync } from "../files/durableFile.ts"
import { type AgeKey, deriveFrom, readIdentity } from "../secrets/ageFile.ts"
import * as fs from "node:fs"
import { type MachineKeys, type MemberList, nextStatement, type SignedStatement } from "./members.ts"
import { publicKeyOf, signingKey, signingPurpose, signText } from "./signatures.ts"

export interface Signer {
  readonly name: string
  readonly key: KeyObject
  /** The key of the store, which opens what is encrypted to this machine. */
  readonly store: AgeKey
  readonly keys: MachineKeys
}

/** Reads identity.age beside the daemon. */
export const readSigner = Effect.fn("readSigner")(function* (config: Pick<Config, "identityPath">, name: string) {
  const contents = yield* attemptSync("read", config.identityPath, () => fs.readFileSync(config.identityPath))
  const store = yield* readIdentity(contents)
  const key = signingKey(deriveFrom(store, signingPurpose))
  const keys = { machine: name, recipient: store.recipient, key: publicKeyOf(key) }
  const signer: Signer = { name, key, store, keys }
  return signer
})

/** Makes the next statement of a list. */
export const signStatement = (list: MemberList, { key, name }: Signer, said: object): SignedStatement => {
  const statement = nextStatement(list, name, said)
  return { statement, sig: signText(key, statement) }
}
