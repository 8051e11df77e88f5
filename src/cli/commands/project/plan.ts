/**
 * What a project would get, in words: for `env --dry-run`, for the question of `consent.ts`, and
 * for `secrets allow`.
 */
import { escapeValue } from "../../../domain/escape.ts"
import { defaultVercelFile } from "../../../domain/envFile.ts"
import { type RouteRequest, routesOf } from "../../../domain/RouteRequest.ts"
import { projectClientId } from "../../../domain/ProjectTrust.ts"
import { table } from "../../terminal/table.ts"
import type { Project } from "./findProject.ts"
import type { RequestedSecrets } from "./requestedSecrets.ts"

export type Delivery = readonly [how: "write" | "pass", to: string]

const verbs = { write: ["write it", "written"], pass: ["pass it", "passed"] } as const

const head = ["VARIABLE", "SECRET", "TTL"]

/** Describes what would be leased or pulled, for whom, and where it would go. */
export const planLines = (
  requested: RequestedSecrets,
  clientId: string | undefined,
  [how, to]: Delivery
): ReadonlyArray<string> => {
  const [active, passive] = verbs[how]
  if (requested.source === "vercel") {
    const { project, scope } = requested.vercel
    return [`would pull ${scope} of ${escapeValue(project)} from Vercel and ${active} to ${escapeValue(to)}`]
  }
  // Nothing is truncated: what is left out might be what matters.
  const rows = requested.secrets.map(({ secret, ttl, variable }) => [variable, secret, ttl || "default"])
  const { length } = rows
  return [
    ...(length === 0 && requested.routes.length > 0 ? [] : table(head, rows, { whole: head })),
    ...(how === "pass" ? requested.routes.map(routeLine) : []),
    `would be leased by ${escapeValue(clientId ?? "")} and ${passive} to ${escapeValue(to)}`,
    ...(length > longTable ? [`${length} secrets in all`] : [])
  ]
}

const routeLine = ({ name, ...limits }: RouteRequest): string =>
  [
    `the route ${escapeValue(name)}, without its value`,
    ...Object.entries(limits).map(([limit, values]) => `${limit}: ${values.map(escapeValue).join(", ")}`)
  ].join("; ")

/** A table that may have scrolled out of sight. */
const longTable = 10

/** Describes a project file in one line; `own` is the client id of the user. */
export const summaryOf = ({ content }: Project, own: string): string => {
  if ("source" in content) {
    const { env_file: file = defaultVercelFile, project, scope } = content
    return `${scope} of ${escapeValue(project)} from Vercel, written to ${escapeValue(file)}`
  }
  const all = [
    ...(content.secrets ?? []).map(({ env_var: variable, name }) => `${escapeValue(name)} as ${variable}`),
    ...routesOf(content).map(routeLine)
  ].join(", ")
  return `${all || "no secrets"}, leased by ${escapeValue(projectClientId(own, content.client_id))}`
}
