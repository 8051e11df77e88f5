/**
 * age: the key in identity.age and the encryption of secrets.age.
 *
 * Binary age v1 files for the identity's own X25519 recipient, as the `age`
 * command and the predecessor read them. The cryptography is the npm package
 * age-encryption; this file only knows the two forms on the disk.
 */
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { setImmediate } from "node:timers/promises"

/** A file is not what age understands, or not for this key. Neither contents nor key are part of it. */
export class AgeError extends Schema.TaggedError<AgeError>()("AgeError", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export interface AgeKey {
  /** `AGE-SECRET-KEY-1…`, without a line feed: the whole of identity.age. */
  readonly identity: Redacted.Redacted
  readonly encrypt: (contents: Uint8Array) => Effect.Effect<Uint8Array, AgeError>
  /** Fails if the file is damaged, cut off or for another key. */
  readonly decrypt: (file: Uint8Array) => Effect.Effect<Uint8Array, AgeError>
}

export const generateKey: Effect.Effect<AgeKey, AgeError> = Effect.flatMap(
  attempt("no key could be made", () => generateX25519Identity()),
  (identity) => fromIdentity(identity)
)

/** Reads identity.age, also with the comments and line feeds that `age-keygen` writes. */
export const readIdentity = (file: Uint8Array): Effect.Effect<AgeKey, AgeError> => {
  const keys = Buffer.from(file)
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
  const [identity] = keys
  if (identity === undefined || keys.length > 1) {
    return Effect.fail(new AgeError({ reason: `it holds ${keys.length} age keys, and it must hold one` }))
  }
  return fromIdentity(identity)
}

const fromIdentity = (identity: string): Effect.Effect<AgeKey, AgeError> =>
  Effect.map(
    attempt("it does not hold an age X25519 key", async () => decrypterFor(identity)),
    (decrypter) => ({
      identity: Redacted.make(identity),
      encrypt: (contents) =>
        attempt("the store could not be encrypted", async () => {
          const encrypter = new Encrypter()
          encrypter.addRecipient(await identityToRecipient(identity))
          return await collect(await encrypter.encrypt(inPieces(contents)))
        }),
      decrypt: (file) =>
        attempt("it is damaged, or not encrypted to the key in identity.age", async () =>
          collect(await decrypter.decrypt(inPieces(file)))
        )
    })
  )

/** The library knows keys of other kinds as well, for which the built program has no code (scripts/leftOut.ts). */
const decrypterFor = (identity: string): Decrypter => {
  if (!identity.startsWith("AGE-SECRET-KEY-1")) throw new Error("no X25519 key")
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  return decrypter
}

/** A piece is under a millisecond of cryptography; between two of them the daemon answers others. */
const pieceLength = 64 * 1024

const inPieces = (bytes: Uint8Array): ReadableStream<Uint8Array> => {
  let at = 0
  return new ReadableStream({
    pull: async (controller) => {
      await setImmediate()
      controller.enqueue(bytes.slice(at, at + pieceLength))
      at += pieceLength
      if (at >= bytes.length) controller.close()
    }
  })
}

const collect = async (pieces: ReadableStream<Uint8Array>): Promise<Uint8Array> => {
  const collected: Array<Uint8Array> = []
  for await (const piece of pieces) collected.push(piece)
  return Buffer.concat(collected)
}

/** What the library throws may quote what it was given, so only our own words come out. */
function attempt<A>(reason: string, run: () => Promise<A>): Effect.Effect<A, AgeError> {
  return Effect.tryPromise({ try: run, catch: () => new AgeError({ reason }) })
}
