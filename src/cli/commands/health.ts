/**
 * secrets health: what needs attention, grouped, and the values by their age. To check whether
 * the daemon is serving, use `status`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { quote } from "../../domain/goText.ts"
import { parseTimestamp } from "../../domain/Timestamp.ts"
import { call } from "../../rpc/client/client.ts"
import { literal, optional, type Shaped } from "../../domain/shape.ts"
import { defineCommand } from "../command/Command.ts"
import { fromClient } from "../command/CommandError.ts"
import { loadDaemon } from "../command/settings.ts"
import { table } from "../terminal/table.ts"
import { ageOf, timeUntil } from "../terminal/times.ts"
import { counted } from "../../domain/counted.ts"

const reportExample = {
  total_secrets: 0,
  active_leases: 0,
  expiring_soon: 0,
  never_rotated: 0,
  stale_secrets: 0,
  open_and_unchanged: optional([""]),
  warnings: [
    {
      type: "",
      secret_name: optional(""),
      lease_id: optional(""),
      message: "",
      severity: "",
      timestamp: "",
      beyond_default: optional(literal(true))
    }
  ]
}
type Report = Shaped<typeof reportExample>
type Warning = Report["warnings"][number]

const listedExample = { secrets: [{ name: "", updated_at: "" }] }
type Aged = Shaped<typeof listedExample>["secrets"][number]

export const healthCommand = defineCommand({
  name: "health",
  summary: "Show what needs attention, and the oldest values",
  arity: [0, 0],
  flags: { warnings: { type: "boolean" } },
  examples: ["secrets health", "secrets health --json"],
  about:
    "Leases that expire within an hour are shown if they were asked for longer than the default. --json has every warning of the daemon.",
  run: Effect.fnUntraced(function* (args) {
    const daemon = yield* loadDaemon(args)
    const [report, listed] = yield* Effect.all(
      [
        Effect.mapError(call(daemon, "secrets.health", { exposure: true }, reportExample), fromClient),
        // While the store is locked there is no list.
        Effect.orElseSucceed(call(daemon, "secrets.list", { every: true }, listedExample), () => ({ secrets: [] }))
      ],
      { concurrency: "unbounded" }
    )
    return {
      lines: healthLines(report, listed.secrets, yield* Clock.currentTimeMillis),
      result: { ...report, warnings_count: report.warnings.length }
    }
  })
})

/** Rows of a group that fit on a screen with the others. */
const maxRows = 10
const maxNames = 5
const day = 24 * 60 * 60_000
/** A younger value is not worth a line. */
const oldAge = 90 * day

export const healthLines = (report: Report, secrets: ReadonlyArray<Aged>, now: number): ReadonlyArray<string> => {
  const of = (...types: ReadonlyArray<string>) => report.warnings.filter(({ type }) => types.includes(type))
  const known = ["expiring_soon", "no_rotation_hook", "stale_secret", "never_accessed"]
  const faults = report.warnings.filter(({ type }) => !known.includes(type))
  const unused = of("stale_secret", "never_accessed")
  const expiring = of("expiring_soon").filter(({ beyond_default }) => beyond_default === true)
  const groups = [
    group(
      "Needs attention:",
      faults.map(({ message }) => message)
    ),
    oldValues(secrets, now),
    group(
      "Not used for a month:",
      rowsOf(unused, ({ message }) => message)
    ),
    group(
      "Leases that end within an hour:",
      rowsOf(expiring, ({ timestamp }) => `in ${timeUntil(timestamp, now)}`)
    ),
    namesOf("Handed out in the open and never changed", report.open_and_unchanged ?? [], report.total_secrets),
    withoutRotation(of("no_rotation_hook"), report.total_secrets)
  ].filter((lines) => lines.length > 0)
  const counts = `${counted(report.total_secrets, "secret")}, ${counted(report.active_leases, "active lease")}`
  const isHealthy = faults.length === 0 && unused.length === 0 && expiring.length === 0
  return [counts, ...(isHealthy ? ["healthy"] : []), ...groups.flatMap((lines) => ["", ...lines])]
}

const group = (title: string, rows: ReadonlyArray<string>): ReadonlyArray<string> =>
  rows.length === 0
    ? []
    : [title, ...rows.slice(0, maxRows).map((row) => `  ${row}`), ...andMore(rows.length - maxRows)]

const andMore = (count: number): ReadonlyArray<string> =>
  count > 0 ? [`  and ${count} more: secrets health --json`] : []

/** Aligns names and what is said of them. */
const rowsOf = (warnings: ReadonlyArray<Warning>, say: (warning: Warning) => string): ReadonlyArray<string> =>
  table(
    ["", ""],
    warnings.map((warning) => [warning.secret_name ?? "", say(warning)]),
    { sentences: [""] }
  ).slice(1)

/** Lists the oldest values first. */
const oldValues = (secrets: ReadonlyArray<Aged>, now: number): ReadonlyArray<string> => {
  const old = secrets
    .map(({ name, updated_at }) => ({ name, updated_at, millis: millisOf(updated_at) }))
    .filter(({ millis }) => now - millis > oldAge)
    .toSorted((a, b) => a.millis - b.millis)
  const rows = table(
    ["", ""],
    old.map(({ name, updated_at }) => [name, `set ${ageOf(updated_at, now)} ago`])
  ).slice(1)
  return group("Values older than 90 days:", rows)
}

/** Returns the milliseconds of a time; one that cannot be read is not old. */
const millisOf = (time: string): number =>
  Option.match(parseTimestamp(time), { onNone: () => Infinity, onSome: ({ millis }) => millis })

const withoutRotation = (warnings: ReadonlyArray<Warning>, total: number): ReadonlyArray<string> =>
  namesOf(
    "Without a rotation command",
    warnings.map(({ secret_name = "" }) => secret_name),
    total
  )

/** Returns how many secrets it is about, with the first names; nothing if it is about none. */
const namesOf = (title: string, names: ReadonlyArray<string>, total: number): ReadonlyArray<string> => {
  if (names.length === 0) return []
  const first = names.slice(0, maxNames).map((name) => quote(name))
  return [`${title}: ${names.length} of ${total}: ${first.join(", ")}${names.length > maxNames ? ", …" : ""}`]
}
