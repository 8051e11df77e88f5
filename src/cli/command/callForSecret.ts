/**
 * Calls a method about one secret. If there is none of that name, the error suggests another.
 */
import * as Effect from "effect/Effect"
import { call, type DaemonAddress, request } from "../../rpc/client/client.ts"
import type { MethodName } from "../../rpc/protocol/methods.ts"
import type { Shape, Shaped } from "../../rpc/protocol/shape.ts"
import { CommandError, fromClient } from "./CommandError.ts"
import { refusalProblem } from "./problems.ts"
import { namesFor, withSuggestion } from "./suggestName.ts"

export const callForSecret = <const T extends Shape>(
  daemon: DaemonAddress,
  method: MethodName,
  name: string,
  params: object,
  example: T
): Effect.Effect<Shaped<T>, CommandError> =>
  call(daemon, method, params, example).pipe(
    Effect.catch((error) =>
      error._tag === "RequestRejected" && error.tag === "SecretNotFound"
        ? Effect.flatMap(
            Effect.orElseSucceed(request(daemon, "secrets.list", namesFor(params)), () => undefined),
            (listed) => Effect.fail(new CommandError(withSuggestion(refusalProblem(error), name, listed)))
          )
        : Effect.fail(fromClient(error))
    )
  )
