/**
 * The two files with which a machine joins: its request, which it signs, and the invitation, which only it can open.
 *
 * A request has nothing secret. The person who adds the machine compares its words with those that the machine shows.
 */
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AgeError, type AgeKey } from "../secrets/ageFile.ts"
import { MachineKeys, MachineName } from "./members.ts"
import type { Signer } from "./signer.ts"
import { isSignedBy, signText } from "./signatures.ts"

const Request = Schema.fromJsonString(Schema.Struct({ request: Schema.String, sig: Schema.String }))
const decodeRequest = Schema.decodeUnknownOption(Request)
const decodeKeys = Schema.decodeUnknownOption(Schema.fromJsonString(MachineKeys))

export const writeRequest = ({ key, keys }: Signer): string => {
  const request = JSON.stringify(keys)
  return JSON.stringify({ request, sig: signText(key, request) })
}

/** Returns the machine that asks; undefined if the file is no request, or the signature is not that of its key. */
export const readRequest = (text: string): MachineKeys | undefined => {
  const { request = "", sig = "" } = Option.getOrElse(decodeRequest(text), () => ({ request: "", sig: "" }))
  const keys = Option.getOrUndefined(decodeKeys(request))
  return keys !== undefined && isSignedBy(keys.key, request, sig) ? keys : undefined
}

/** What a machine needs to enter. */
const Invitation = Schema.Struct({
  v: Schema.Literal(1),
  machine: MachineName,
  url: Schema.String,
  /** The certificates of the server's authority, in PEM. */
  ca: Schema.optionalKey(Schema.String),
  /** The password of the role; none where another person sets it. */
  password: Schema.optionalKey(Schema.String),
  /** The hash of the statement that founded the team. */
  founded: Schema.String
})
export type Invitation = typeof Invitation.Type
const decodeInvitation = Schema.decodeUnknownOption(Schema.fromJsonString(Invitation))

export const writeInvitation = (invitation: Invitation, recipient: string) =>
  Effect.tryPromise({
    try: async () => {
      const encrypter = new Encrypter()
      encrypter.addRecipient(recipient)
      return encrypter.encrypt(JSON.stringify(invitation))
    },
    catch: () => new AgeError({ reason: "the invitation could not be encrypted" })
  })

export const readInvitation = (file: Uint8Array, store: AgeKey) =>
  Effect.flatMap(store.decrypt(file), (contents) =>
    Option.match(decodeInvitation(Buffer.from(contents).toString("utf8")), {
      onNone: () => Effect.fail(new AgeError({ reason: "it is not an invitation that this version reads" })),
      onSome: (invitation) => Effect.succeed(invitation)
    })
  )
