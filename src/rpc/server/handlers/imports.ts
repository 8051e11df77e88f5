/**
 * secrets.import, beyond the predecessor: adds many secrets with one write of the store. They
 * come as one text, since a request may hold few JSON values.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { isUtf8 } from "node:buffer"
import { importSecrets } from "../../../daemon/operations/addSecrets.ts"
import type { NewSecret } from "../../../daemon/secrets/OpenedStore.ts"
import { valueLimit } from "../../../domain/Secret.ts"
import { maxImported, maxLineBytes } from "../../protocol/limits.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { ConnectionState } from "../../transport/Connections.ts"
import { readParams, required, succeeded } from "../params.ts"

const importParams = readParams("ImportParams", { entries: "string", update: "bool" })

/** In a reply. */
const maxLookalikes = 100

export const importHandlers = {
  "secrets.import": Effect.fnUntraced(function* (raw: unknown) {
    const { entries, update } = yield* importParams(raw)
    yield* required(entries, "entries", maxLineBytes)
    const secrets = yield* decodeEntries(entries)
    const { closed } = yield* ConnectionState
    const { existing, looksLike } = yield* Effect.raceFirst(
      Effect.interruptible(importSecrets(secrets, update)),
      // A person who presses Ctrl-C wants none of it. Once the write has begun, it is completed.
      Effect.andThen(Effect.interruptible(closed), Effect.fail(clientLeft))
    )
    return succeeded("secrets imported successfully", { existing, looks_like: looksLike.slice(0, maxLookalikes) })
  })
}

const clientLeft = new RpcError({ tag: "InvalidParams", message: "the client left before anything was added" })

/** Decodes names and values in turn, each in base64, separated by commas. */
const decodeEntries = Effect.fnUntraced(function* (entries: string) {
  const fields = entries.split(",", 2 * maxImported + 1)
  if (fields.length > 2 * maxImported) return yield* invalid(`more than ${maxImported} secrets were given`)
  if (fields.length % 2 !== 0) return yield* invalid("a name has no value")
  // Buffer.from passes over what it cannot decode, which would change the value.
  if (!fields.every((field) => Buffer.from(field, "base64").toString("base64") === field))
    return yield* invalid("a name or value is not base64")
  const secrets = new Map<string, NewSecret>()
  for (let at = 0; at < fields.length; at += 2) {
    const [name, value] = [textOf(fields[at]), textOf(fields[at + 1])]
    if (name === undefined || value === undefined) return yield* invalid("a name or value is not UTF-8 text")
    yield* required(name, "secret name")
    yield* required(value, "secret value", valueLimit)
    if (secrets.has(name)) return yield* invalid("two secrets have the same name")
    secrets.set(name, { name, value: Redacted.make(value), rotateVia: "", rotateStdout: false })
  }
  return [...secrets.values()]
})

const textOf = (base64 = ""): string | undefined => {
  const bytes = Buffer.from(base64, "base64")
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined
}

const invalid = (reason: string) => new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` })
