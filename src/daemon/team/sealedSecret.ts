/**
 * A secret as the database holds it: an age file for the machines that may read it, signed inside.
 *
 * age does not tell who encrypted. The signature covers name, version, value and the list of members that the writer
 * knew, and the reader checks that the writer was in it. So the owner of the database cannot swap two secrets, bring
 * back an old one, or plant one. The commands that rotate a secret are inside too.
 */
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { KeyObject } from "node:crypto"
import { sha256 } from "../../domain/AuditChain.ts"
import { AgeError, type AgeKey } from "../secrets/ageFile.ts"
import { decodeStore, encodeStore, type StoredSecret } from "../secrets/storeDocument.ts"
import { groupOfSecret, isInGroup, type MemberList, recipientsOf } from "./members.ts"
import { isSignedBy, signText } from "./signatures.ts"

const Envelope = Schema.Struct({ body: Schema.String, sig: Schema.String })
const Body = Schema.Struct({
  v: Schema.Literal(1),
  version: Schema.Int,
  by: Schema.String,
  /** The number of statements about members that the writer knew. */
  list: Schema.Int,
  /** The hash of the recipients that it was sealed for. */
  for: Schema.String,
  /** The secret as in secrets.age. */
  secret: Schema.String
})
const decodeEnvelope = Schema.decodeUnknownOption(Schema.fromJsonString(Envelope))
const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(Body))

/** Identifies recipients. */
export const recipientsHash = (recipients: ReadonlyArray<string>): string =>
  sha256(recipients.toSorted().join("\n")).slice(0, 16)

export interface SealOptions {
  readonly by: string
  readonly key: KeyObject
  readonly list: MemberList
}

/** Encrypts a version of a secret to the machines that may read it, and signs it; `escaped` is its name in the database. */
export const seal = (secret: StoredSecret, escaped: string, version: number, { by, key, list }: SealOptions) =>
  Effect.tryPromise({
    try: async () => {
      const text = encodeStore({ secrets: new Map([[secret.name, { ...secret, foreign: {} }]]), foreign: {} })
      const recipients = recipientsOf(list, escaped)
      const known = { list: list.statements.length, for: recipientsHash(recipients) }
      const body = JSON.stringify({ v: 1, version, by, ...known, secret: text })
      const encrypter = new Encrypter()
      for (const recipient of recipients) encrypter.addRecipient(recipient)
      return encrypter.encrypt(JSON.stringify({ body, sig: signText(key, body) }))
    },
    catch: () => new AgeError({ reason: "the secret could not be encrypted to the machines of the team" })
  })

/** A secret that was opened and checked. */
export interface OpenedSecret {
  readonly secret: StoredSecret
  /** The hash of the recipients that it was sealed for. */
  readonly recipients: string
  /** The number of statements that its writer knew. */
  readonly list: number
}

export interface SealedRow {
  readonly name: string
  readonly escaped: string
  readonly version: number
  readonly sealed: Uint8Array
}

/** Opens the sealed secret of a row. The failure states what is wrong, and holds nothing of it. */
export const openSealed = Effect.fnUntraced(function* (
  row: SealedRow,
  key: Pick<AgeKey, "decrypt">,
  members: MemberList
) {
  const opened = yield* Effect.result(key.decrypt(row.sealed))
  if (Result.isFailure(opened)) return Result.fail("it is not encrypted to this machine")
  const envelope = Option.getOrUndefined(decodeEnvelope(Buffer.from(opened.success).toString("utf8")))
  const body = Option.getOrUndefined(decodeBody(envelope?.body ?? ""))
  if (envelope === undefined || body === undefined) return Result.fail("its contents are not those of a team's secret")
  const problem = writerProblem(row, body, envelope, members)
  if (problem !== undefined) return Result.fail(problem)
  if (body.version !== row.version) return Result.fail("it is another version than the database states")
  const document = decodeStore(body.secret)
  const secret = Result.isSuccess(document) ? document.success.secrets.get(row.name) : undefined
  if (secret === undefined) return Result.fail("it is another secret than the database states")
  return Result.succeed<OpenedSecret>({ secret, recipients: body.for, list: body.list })
})

/** Returns why the writer is not one who could write that secret by the list that it names; undefined if it is. */
const writerProblem = (
  { escaped }: SealedRow,
  { by, list }: typeof Body.Type,
  envelope: typeof Envelope.Type,
  { views }: MemberList
): string | undefined => {
  const view = views[list]
  if (view === undefined) return "it is sealed for a list of machines that this machine has not seen"
  const writer = view.members.get(by)
  if (writer === undefined) return "it is signed by a machine that is not in the team"
  if (!isSignedBy(writer.key, envelope.body, envelope.sig)) return `its signature is not that of ${writer.name}`
  const group = groupOfSecret(view, escaped)
  if (!isInGroup(writer, group) && !writer.isAdmin)
    return `${writer.name}, which signed it, is not in the group ${group}`
  return undefined
}
