/**
 * The policy that applies now. It is replaced as a whole, when the daemon reads config.json again.
 */
import * as Context from "effect/Context"
import { makePolicy, noPolicy, type Policy, type PolicyRule } from "../../domain/Policy.ts"

export const CurrentPolicy = Context.Reference<{ readonly get: () => Policy }>("agent-secrets/CurrentPolicy", {
  defaultValue: () => ({ get: () => noPolicy })
})

/** Makes a policy that can be replaced; undefined means that there is none, so that everything is permitted. */
export const replaceablePolicy = (rules: ReadonlyArray<PolicyRule> | undefined) => {
  const compile = (given: typeof rules) => (given === undefined ? noPolicy : makePolicy(given))
  let [given, current] = [rules, compile(rules)]
  return {
    get: () => current,
    /** The rules as they are written; undefined if there is no policy. */
    rules: () => given,
    replace: (next: typeof rules) => {
      given = next
      current = compile(next)
    }
  }
}
