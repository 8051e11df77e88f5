/** The Ed25519 keys of machines: each is derived from the key of its store, and the public ones stand in the list of members. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto"

/** Before the 32 bytes of an Ed25519 seed or public key, as PKCS #8 and SPKI have it. */
const privatePrefix = Buffer.from("302e020100300506032b657004220420", "hex")
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex")

/** What the seed of the signing key is derived from the key of the store for. */
export const signingPurpose = "team signing key"

export const signingKey = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([privatePrefix, seed]), format: "der", type: "pkcs8" })

/** Returns the public key in base64, as the list of members has it. */
export const publicKeyOf = (key: KeyObject): string =>
  createPublicKey(key).export({ format: "der", type: "spki" }).subarray(publicPrefix.length).toString("base64")

export const signText = (key: KeyObject, text: string): string => sign(null, Buffer.from(text), key).toString("base64")

/** Returns whether the owner of a public key signed a text; false also for what is no key. */
export const isSignedBy = (publicKey: string, text: string, signature: string): boolean => {
  try {
    const der = Buffer.concat([publicPrefix, Buffer.from(publicKey, "base64")])
    const key = createPublicKey({ key: der, format: "der", type: "spki" })
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64"))
  } catch {
    return false
  }
}
