/**
 * describeSecret: what is known about a secret, without its value.
 *
 * The fingerprint is the same for the same value and the same key of the store. Without that
 * key nothing can be compared with it, so it is no help to a client that guesses values. A
 * role that may not lease the value gets its kind alone, and neither length nor fingerprint.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"
import { AccessDenied, attestedClient, permitsSecret } from "../../domain/Caller.ts"
import { isHidden } from "../../domain/Policy.ts"
import { SecretNotFound } from "../../domain/Secret.ts"
import { formOf } from "../../domain/valueForm.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { CurrentPolicy } from "./CurrentPolicy.ts"
import { lastLeases } from "./lastLeases.ts"
import { ownLeases } from "./listLeases.ts"
import { maxReadBytes } from "./searchAudit.ts"

/** Enough to tell values apart; the rest would only be longer to read. */
const fingerprintLength = 12

export const describeSecret = Effect.fn("describeSecret")(function* (name: string, clientId = "") {
  const store = yield* SecretStore
  const caller = yield* CurrentCaller
  if (!permitsSecret(caller, name)) return yield* new AccessDenied()
  const { value, ...info } = yield* Effect.fromResult(store.get(name))
  if (isHidden((yield* CurrentPolicy).get(), name, attestedClient(caller, clientId)))
    return yield* new SecretNotFound({ name })
  const key = yield* Effect.fromResult(store.derive("fingerprints of values"))
  const { kind, validUntil, what, ...outside } = formOf(Redacted.value(value))
  const fingerprint = createHmac("sha256", key).update(Redacted.value(value)).digest("hex").slice(0, fingerprintLength)
  const { complete, leases } = yield* lastLeases([name], { lines: Infinity, length: maxReadBytes }).pipe(
    Effect.orElseSucceed(() => ({ complete: false, leases: new Map() }))
  )
  return {
    info,
    form: { kind, what, validUntil },
    /** Undefined for a role that gets no bare value. */
    measured: caller.role === "use" ? undefined : { ...outside, fingerprint },
    active: (yield* ownLeases).filter((lease) => lease.secretName === name),
    lastLease: leases.get(name),
    /** Whether the whole log was searched for the last lease. */
    complete
  }
})
