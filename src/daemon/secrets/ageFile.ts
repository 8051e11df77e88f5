/**
 * The age key in identity.age and the encryption of secrets.age.
 *
 * Files are binary age v1 for one X25519 recipient, as the `age` command and the
 * predecessor read them. The npm package age-encryption does the cryptography.
 */
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHmac } from "node:crypto"
import { setImmediate } from "node:timers/promises"

/** A file is not a valid age file, or not for this key. Contains neither contents nor key. */
export class AgeError extends Schema.TaggedError<AgeError>()("AgeError", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export interface AgeKey {
  /** All of identity.age: `AGE-SECRET-KEY-1…`, and what else was in the file that was read. */
  readonly file: Redacted.Redacted
  /** Who can decrypt what is encrypted to it: `age1…`. */
  readonly recipient: string
  readonly encrypt: (contents: Uint8Array) => Effect.Effect<Uint8Array, AgeError>
  /** Fails if the file is damaged, truncated or for another key. */
  readonly decrypt: (file: Uint8Array) => Effect.Effect<Uint8Array, AgeError>
}

export const generateKey: Effect.Effect<AgeKey, AgeError> = Effect.flatMap(
  attempt("no key could be generated", () => generateX25519Identity()),
  (identity) => fromIdentity(identity)
)

/** Reads identity.age, with or without the comments and line feeds that `age-keygen` writes. */
export const readIdentity = (file: Uint8Array): Effect.Effect<AgeKey, AgeError> => {
  const keys = keysIn(file)
  const [identity] = keys
  if (identity === undefined || keys.length > 1) {
    return Effect.fail(new AgeError({ reason: `it holds ${keys.length} age keys, and it must hold one` }))
  }
  return fromIdentity(identity, Buffer.from(file).toString("utf8"))
}

/** Derives 32 bytes from a key, which they do not reveal: the same ones for the same purpose. */
export const deriveFrom = (key: AgeKey, purpose: string): Buffer =>
  createHmac("sha256", keysIn(Buffer.from(Redacted.value(key.file))).join("\n"))
    .update(purpose)
    .digest()

/** Returns the lines of identity.age that are no comments. */
export const keysIn = (file: Uint8Array): ReadonlyArray<string> =>
  Buffer.from(file)
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))

const fromIdentity = (identity: string, file = identity): Effect.Effect<AgeKey, AgeError> =>
  Effect.map(
    attempt(
      "it does not hold an age X25519 key",
      async () => [decrypterFor(identity), await identityToRecipient(identity)] as const
    ),
    ([decrypter, recipient]) => ({
      file: Redacted.make(file),
      recipient,
      encrypt: (contents) =>
        attempt("the store could not be encrypted", async () => {
          const encrypter = new Encrypter()
          encrypter.addRecipient(recipient)
          return await collect(await encrypter.encrypt(toChunks(contents)))
        }),
      decrypt: (file) =>
        attempt("it is damaged, or not encrypted to the key in identity.age", async () =>
          collect(await decrypter.decrypt(toChunks(file)))
        )
    })
  )

/** Accepts X25519 keys only; the library supports other kinds too. */
const decrypterFor = (identity: string): Decrypter => {
  if (!identity.startsWith("AGE-SECRET-KEY-1")) throw new Error("no X25519 key")
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  return decrypter
}

/** A short time of cryptography: other requests run between two chunks. */
const chunkLength = 64 * 1024

const toChunks = (bytes: Uint8Array): ReadableStream<Uint8Array> => {
  let at = 0
  return new ReadableStream({
    pull: async (controller) => {
      await setImmediate()
      controller.enqueue(bytes.slice(at, at + chunkLength))
      at += chunkLength
      if (at >= bytes.length) controller.close()
    }
  })
}

const collect = async (chunks: ReadableStream<Uint8Array>): Promise<Uint8Array> => {
  const collected: Array<Uint8Array> = []
  for await (const chunk of chunks) collected.push(chunk)
  return Buffer.concat(collected)
}

/** Replaces what the library throws by our own text, because it may quote its input. */
function attempt<A>(reason: string, run: () => Promise<A>): Effect.Effect<A, AgeError> {
  return Effect.tryPromise({ try: run, catch: () => new AgeError({ reason }) })
}
