/**
 * A secret as the database holds it: an age file for the machines of the team, signed inside.
 *
 * age does not tell who encrypted. The signature covers name, version and value, and the reader
 * checks that the writer is in its own list. So the owner of the database cannot swap two
 * secrets, bring back an old one, or plant one. The commands that rotate a secret are inside too.
 */
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto"
import { sha256 } from "../../domain/AuditChain.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { AgeError, type AgeKey } from "../secrets/ageFile.ts"
import { decodeStore, encodeStore, type StoredSecret } from "../secrets/storeDocument.ts"

export type TeamMachine = TeamSettings["machines"][number]

const Envelope = Schema.Struct({ body: Schema.String, sig: Schema.String })
const Body = Schema.Struct({
  v: Schema.Literal(1),
  version: Schema.Int,
  by: Schema.String,
  /** The hash of the recipients that it was sealed for. */
  for: Schema.String,
  /** The secret as in secrets.age. */
  secret: Schema.String
})
const decodeEnvelope = Schema.decodeUnknownOption(Schema.fromJsonString(Envelope))
const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(Body))

/** Before the 32 bytes of an Ed25519 seed or public key, as PKCS #8 and SPKI have it. */
const privatePrefix = Buffer.from("302e020100300506032b657004220420", "hex")
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex")

/** What the seed of the signing key is derived from the key of the store for. */
export const signingPurpose = "team signing key"

export const signingKey = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([privatePrefix, seed]), format: "der", type: "pkcs8" })

/** Returns the public key in base64, as the list of machines has it. */
export const publicKeyOf = (key: KeyObject): string =>
  createPublicKey(key).export({ format: "der", type: "spki" }).subarray(publicPrefix.length).toString("base64")

const verifyingKey = (key: string): KeyObject =>
  createPublicKey({ key: Buffer.concat([publicPrefix, Buffer.from(key, "base64")]), format: "der", type: "spki" })

/** Identifies a list of recipients. */
export const recipientsHash = (machines: ReadonlyArray<TeamMachine>): string =>
  sha256(
    machines
      .map(({ recipient }) => recipient)
      .toSorted()
      .join("\n")
  ).slice(0, 16)

export interface SealOptions {
  readonly by: string
  readonly key: KeyObject
  readonly machines: ReadonlyArray<TeamMachine>
}

/** Encrypts a version of a secret to every machine, and signs it. */
export const seal = (secret: StoredSecret, version: number, { by, key, machines }: SealOptions) =>
  Effect.tryPromise({
    try: async () => {
      const text = encodeStore({ secrets: new Map([[secret.name, { ...secret, foreign: {} }]]), foreign: {} })
      const body = JSON.stringify({ v: 1, version, by, for: recipientsHash(machines), secret: text })
      const encrypter = new Encrypter()
      for (const { recipient } of machines) encrypter.addRecipient(recipient)
      return encrypter.encrypt(JSON.stringify({ body, sig: sign(null, Buffer.from(body), key).toString("base64") }))
    },
    catch: () => new AgeError({ reason: "the secret could not be encrypted to the machines of the team" })
  })

/** A secret that was opened and checked. */
export interface OpenedSecret {
  readonly secret: StoredSecret
  /** The hash of the recipients that it was sealed for. */
  readonly recipients: string
}

/** Opens the sealed secret of a row. The failure states what is wrong, and holds nothing of it. */
export const openSealed = Effect.fnUntraced(function* (
  row: { readonly name: string; readonly version: number; readonly sealed: Uint8Array },
  key: Pick<AgeKey, "decrypt">,
  machines: ReadonlyArray<TeamMachine>
) {
  const opened = yield* Effect.result(key.decrypt(row.sealed))
  if (Result.isFailure(opened)) return Result.fail("it is not encrypted to this machine")
  const envelope = Option.getOrUndefined(decodeEnvelope(Buffer.from(opened.success).toString("utf8")))
  const body = Option.getOrUndefined(decodeBody(envelope?.body ?? ""))
  if (envelope === undefined || body === undefined) return Result.fail("its contents are not those of a team's secret")
  const writer = machines.find(({ name }) => name === body.by)
  if (writer === undefined) return Result.fail("it is signed by a machine that is not in team.machines")
  const isSigned = verify(
    null,
    Buffer.from(envelope.body),
    verifyingKey(writer.key),
    Buffer.from(envelope.sig, "base64")
  )
  if (!isSigned) return Result.fail(`its signature is not that of ${writer.name}`)
  if (body.version !== row.version) return Result.fail("it is another version than the database states")
  const document = decodeStore(body.secret)
  const secret = Result.isSuccess(document) ? document.success.secrets.get(row.name) : undefined
  if (secret === undefined) return Result.fail("it is another secret than the database states")
  return Result.succeed<OpenedSecret>({ secret, recipients: body.for })
})
