/**
 * Suggests the secret that a mistyped name may mean, among those that the caller may list.
 */
import { closestMatch } from "../../domain/closestMatch.ts"
import { quote } from "../../domain/goText.ts"
import { matchesShape } from "../../domain/shape.ts"
import type { Problem } from "./Output.ts"

/** Adds the suggestion to the problem; `listed` is the result of secrets.list, if there is one. */
export const withSuggestion = (problem: Problem, name: string, listed: unknown): Problem => {
  if (!matchesShape(listed, { secrets: [{ name: "" }] })) return problem
  const meant = closestMatch(
    name,
    listed.secrets.map((one) => one.name)
  )
  return meant === undefined ? problem : { ...problem, fix: `Did you mean ${quote(meant)}? All names: secrets list` }
}

/** Returns the parameters of the list to choose from: what the client of the request may find, or what can be changed. */
export const namesFor = (params: unknown): object => {
  const clientId: unknown = Reflect.get(Object(params), "client_id")
  return clientId === undefined ? { every: true } : { client_id: clientId }
}
