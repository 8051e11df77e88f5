/**
 * The parameters with which a client says what it leases a secret for. They are beyond the
 * predecessor; one that is absent says nothing.
 */
import * as Effect from "effect/Effect"
import { withoutValues } from "../../daemon/operations/withoutValues.ts"
import type { SecretStore } from "../../daemon/secrets/SecretStore.ts"
import type { LeaseOrigin } from "../../domain/factMakers.ts"
import type { TooLong } from "../../domain/Secret.ts"
import { RpcError } from "../protocol/Protocol.ts"
import { atMost } from "./params.ts"

export const originFields = { via: "string", program: "string", session: "string", reason: "string" } as const

/** The longest text of each, in bytes. */
const limits = { via: 64, program: 4096, session: 64, reason: 200 } as const

const viaPattern = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)?$/

type Given = Readonly<Record<keyof typeof originFields, string>>

/** Returns whether the client said nothing. */
export const isSilent = ({ program, reason, session, via }: Given): boolean =>
  via === "" && program === "" && session === "" && reason === ""

/** Returns whether a text may be the id of a run. */
export const isRunId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

/** Reads what the client said, without values in the reason. */
export const readOrigin = Effect.fnUntraced(function* ({
  program,
  reason,
  session,
  via
}: Given): Effect.fn.Return<LeaseOrigin, RpcError | TooLong, SecretStore> {
  yield* atMost(limits.via, via, "via")
  yield* atMost(limits.program, program, "program")
  yield* atMost(limits.session, session, "session")
  yield* atMost(limits.reason, reason, "reason")
  if (via !== "" && !viaPattern.test(via)) {
    const message = 'invalid parameters: via must be a word such as "exec" or "helper:git"'
    return yield* new RpcError({ tag: "InvalidParams", message })
  }
  return {
    ...(via !== "" && { via }),
    ...(program !== "" && { program }),
    ...(session !== "" && { session }),
    ...(reason !== "" && { reason: yield* withoutValues(reason) })
  }
})
