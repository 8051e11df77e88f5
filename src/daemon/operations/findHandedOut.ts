/**
 * findHandedOut: the secrets whose values were leased since they last changed, also after a wipe
 * and while the store is locked.
 */
import * as Effect from "effect/Effect"
import { exposedSecrets } from "./exposedSecrets.ts"

/** Returns the values that were handed out, the last one first; `complete` is false if there may be others. */
export const findHandedOut = Effect.fn("findHandedOut")(function* (limits: {
  readonly count: number
  readonly length: number
}) {
  const { reasons, secrets } = yield* exposedSecrets({ client: undefined, since: undefined })
  const found = secrets.filter(({ isChanged, isRotated }) => !isChanged && !isRotated)
  let length = 0
  const listed = found.slice(0, limits.count).filter(({ name }) => (length += name.length) < limits.length)
  const handedOut = listed.map(({ last, leases, name }) => ({ secretName: name, leases, lastAt: last.text }))
  return { secrets: handedOut, total: found.length, complete: reasons.length === 0 }
})
