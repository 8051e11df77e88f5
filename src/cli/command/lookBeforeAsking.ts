/**
 * Looks whether a secret exists before a person is asked for anything, so that nobody types a
 * value or an answer in vain. The daemon decides again when the request comes.
 */
import * as Effect from "effect/Effect"
import { quote } from "../../domain/goText.ts"
import { type DaemonAddress, request } from "../../rpc/client/client.ts"
import { matchesShape } from "../../domain/shape.ts"
import { CommandError, fromClient } from "./CommandError.ts"
import { refusalProblem } from "./problems.ts"
import { withSuggestion } from "./suggestName.ts"

/** Fails as the daemon would if the secret is not there, or if it is although it must not be. */
export const lookBeforeAsking = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  name: string,
  expected: "present" | "absent"
) {
  const listed = yield* Effect.mapError(request(daemon, "secrets.list", { every: true }), fromClient)
  if (!matchesShape(listed, { secrets: [{ name: "" }] })) return
  const isPresent = listed.secrets.some((secret) => secret.name === name)
  if (isPresent === (expected === "present")) return
  const problem = isPresent
    ? refusalProblem({ message: `secret ${quote(name)}: secret already exists`, tag: "SecretExists" })
    : refusalProblem({ message: `secret ${quote(name)}: secret not found`, tag: "SecretNotFound" })
  return yield* new CommandError(isPresent ? problem : withSuggestion(problem, name, listed))
})
