/**
 * The secrets that clients were given, as lines: those to change first.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { optional, type Shaped } from "../../../domain/shape.ts"
import type { Problem } from "../../command/Output.ts"
import { table } from "../../terminal/table.ts"
import { shownTime } from "../../terminal/times.ts"
import { programs } from "./secretExposure.ts"
import { nameWord } from "../../../domain/shellWord.ts"

export const exposedExample = {
  secrets: [
    {
      secret: "",
      clients: 0,
      leases: 0,
      last: "",
      changed_since: true,
      maybe_unchanged: optional(true),
      rotated_since: true,
      rotate_via: true,
      open: true,
      stored: optional(true),
      unwatched: optional(0)
    }
  ],
  total: 0,
  client_known: true,
  complete: true,
  incomplete_because: [""]
}
export type ExposedReply = Shaped<typeof exposedExample>
export type ExposedRow = ExposedReply["secrets"][number]

/** Returns the secrets whose values are, or may be, the same as when they were handed out. */
export const unchangedIn = ({ secrets }: ExposedReply): ReadonlyArray<ExposedRow> =>
  secrets.filter(({ changed_since, rotated_since }) => !changed_since && !rotated_since)

/** Returns what to do to change a value. */
export const wayToChange = ({ rotate_via: hasHook, secret, stored }: ExposedRow): string => {
  if (stored === false) return "deleted here: change it at its provider"
  const name = nameWord(secret)
  return hasHook ? `secrets rotate ${name}` : `change it at its provider, then: secrets update ${name}`
}

export const listLines = (found: ExposedReply, now: number): ReadonlyArray<string> => {
  const rows = found.secrets.map((row) => [
    row.secret,
    `${row.clients}`,
    shownTime(row.last, now),
    row.changed_since ? "yes" : row.rotated_since ? "rotated" : row.maybe_unchanged === true ? "unknown" : "no",
    row.changed_since || row.rotated_since ? "-" : wayToChange(row)
  ])
  const head = ["SECRET", "CLIENTS", "LAST", "CHANGED SINCE", "TO CHANGE IT"]
  const left = found.total - found.secrets.length
  return [
    ...(rows.length === 0
      ? ["nothing was handed out"]
      : table(head, rows, { whole: head.slice(1, -1), sentences: ["TO CHANGE IT"] })),
    ...(left > 0 ? [`and ${left} more`] : []),
    ...(found.secrets.some(({ rotated_since }) => rotated_since)
      ? [
          "rotated: its command ran since and kept the stored value; only the provider knows whether the old one still works"
        ]
      : []),
    ...(unchangedIn(found).some((row) => row.maybe_unchanged === true)
      ? [
          "unknown: a value of before was set again, or may have been by an add or a restore; another one by update or rotate ends that"
        ]
      : []),
    ...found.secrets.flatMap(({ secret, unwatched = 0 }) =>
      unwatched === 0
        ? []
        : [
            `${escapeValue(secret)}: ${programs(unwatched)} not known to have ended: secrets exposure ${nameWord(secret)}`
          ]
    ),
    ...(found.complete ? [] : [`There may be others: ${found.incomplete_because.join("; ")}.`])
  ]
}

/** Returns why a script must not go on; undefined if every value was changed. */
export const listProblem = (found: ExposedReply, client: string | undefined): Problem | undefined => {
  const unchanged = unchangedIn(found).length + found.total - found.secrets.length
  if (unchanged > 0) {
    return {
      message: `${unchanged} of ${counted(found.total, "secret")} ${unchanged === 1 ? "is" : "are"} not changed since`,
      code: "not_changed",
      fix: "Change them where they are used, or add --rotate to walk through them",
      exitStatus: exitStatus.failed
    }
  }
  if (!found.complete) {
    return {
      message: "older leases are not known",
      why: found.incomplete_because,
      code: "incomplete",
      fix: "Change what these clients may have been given before",
      exitStatus: exitStatus.incomplete
    }
  }
  if (client !== undefined && !found.client_known) {
    return {
      message: "no client with such an id was ever given a value",
      code: "not_found",
      fix: "See the clients with: secrets audit --action lease_acquire",
      exitStatus: exitStatus.notFound
    }
  }
  return undefined
}
