/**
 * Calls a method about one secret. If there is none of that name, the error suggests another, as far as the time of the
 * call allows.
 */
import * as Effect from "effect/Effect"
import { call, type ClientError, type DaemonAddress, request, sharedTimeout } from "../../rpc/client/client.ts"
import type { MethodName } from "../../rpc/protocol/methods.ts"
import type { Shape, Shaped } from "../../domain/shape.ts"
import { CommandError, fromClient } from "./CommandError.ts"
import { refusalProblem } from "./problems.ts"
import { namesFor, withSuggestion } from "./suggestName.ts"

export const callForSecret = <const T extends Shape>(
  daemon: DaemonAddress,
  method: MethodName,
  name: string,
  params: object,
  example: T
): Effect.Effect<Shaped<T>, CommandError> => orSuggestName(daemon, name, params, call(daemon, method, params, example))

/** Adds that suggestion to the failure of a call. */
export const orSuggestName = Effect.fnUntraced(function* <A>(
  daemon: DaemonAddress,
  name: string,
  params: object,
  calling: Effect.Effect<A, ClientError>
) {
  const rest = yield* sharedTimeout(daemon)
  return yield* calling.pipe(
    Effect.catch(
      Effect.fnUntraced(function* (error) {
        if (error._tag !== "RequestRejected" || error.tag !== "SecretNotFound") return yield* fromClient(error)
        const listing = request(yield* rest, "secrets.list", namesFor(params))
        const listed = yield* Effect.orElseSucceed(listing, () => undefined)
        return yield* new CommandError(withSuggestion(refusalProblem(error), name, listed))
      })
    )
  )
})
