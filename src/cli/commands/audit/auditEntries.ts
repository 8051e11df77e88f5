/**
 * Reads audit entries from the daemon, which also filters them: once, or continuously
 * for `secrets audit --follow`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { formatRow, gap } from "../../terminal/table.ts"
import { printsToTerminal } from "../../terminal/isInteractive.ts"
import { shortId, shortIdLength, shortTime } from "../../terminal/times.ts"
import { escapeValue, escapeLine, escapeJson } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { type DaemonAddress, call } from "../../../rpc/client/client.ts"
import { type Shaped, optional } from "../../../domain/shape.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import { printNotice, printLines } from "../../command/Output.ts"

/** The daemon's limit for one reply. */
export const maxEntries = 10_000

interface AuditQuery {
  readonly tail: number
  readonly secret_name?: string | undefined
  readonly client_id?: string | undefined
  readonly action?: string | undefined
  readonly since?: string | undefined
  /** Only entries with a higher sequence number. */
  readonly after?: number
}

const entryExample = {
  timestamp: "",
  action: "",
  secret_name: optional(""),
  client_id: optional(""),
  lease_id: optional(""),
  details: optional(""),
  success: true,
  expires_at: optional(""),
  shift_ms: optional(0),
  socket: optional(""),
  via: optional(""),
  program: optional(""),
  session: optional(""),
  reason: optional(""),
  seq: optional(0),
  prev: optional("")
}
type WireEntry = Shaped<typeof entryExample>

const entriesExample = {
  entries: [entryExample],
  last_seq: optional(0),
  complete: optional(true),
  log_from_seq: optional(0),
  log_from_at: optional("")
}

export const fetchEntries = Effect.fnUntraced(function* (daemon: DaemonAddress, query: AuditQuery) {
  const found = yield* Effect.mapError(call(daemon, "secrets.audit", query, entriesExample), fromClient)
  const isFiltered = Object.entries(query).some(([name, value]) => name !== "tail" && value !== undefined)
  // A daemon without `last_seq` ignores filters.
  if (isFiltered && found.last_seq === undefined) return yield* tooOld
  return found
})

const tooOld = new CommandError({
  message: "the daemon is older than this command and cannot filter audit entries",
  code: "protocol_error",
  fix: "Restart it: secrets daemon restart",
  exitStatus: exitStatus.failed
})

const pollInterval = Duration.seconds(1)

/**
 * Prints matching entries until interrupted or the reader closes the pipe. Each poll asks for entries after the last
 * sequence number, so none is printed twice or lost when the log rotates or the daemon restarts.
 */
export const followAudit = Effect.fnUntraced(function* (daemon: DaemonAddress, query: AuditQuery, json: boolean) {
  const first = yield* fetchEntries(daemon, { ...query, after: 0 })
  yield* printEntries(first.entries, json)
  let after = lastSeq(first.entries, first.last_seq)
  let isAway = false
  const poll = Effect.gen(function* () {
    yield* Effect.sleep(pollInterval)
    const found = yield* fetchEntries(daemon, { ...query, tail: maxEntries, after })
    if (isAway) note("the daemon is back")
    isAway = false
    if ((found.last_seq ?? 0) < after) note("the audit log was replaced by a new one")
    if (found.complete === false) note("some entries are not shown: too many were added at once")
    yield* printEntries(found.entries, json)
    after = lastSeq(found.entries, found.last_seq)
  }).pipe(
    Effect.catchIf(
      (error: CommandError) => temporary.has(error.exitStatus),
      () =>
        Effect.sync(() => {
          if (!isAway) note("the daemon does not respond; waiting for it")
          isAway = true
        })
    )
  )
  return yield* Effect.forever(poll)
})

const temporary: ReadonlySet<number> = new Set([exitStatus.unavailable, exitStatus.timeout, exitStatus.failed])

/** Returns the highest number. An entry added while the daemon reads the log has a higher one than `last`. */
const lastSeq = (entries: ReadonlyArray<WireEntry>, last = 0): number =>
  entries.reduce((max, { seq }) => Math.max(max, seq ?? 0), last)

const note = (text: string) => printNotice(`secrets audit: ${text}`)

const printEntries = (entries: ReadonlyArray<WireEntry>, json: boolean) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    if (entries.length === 0) return
    printLines(entries.map((entry) => (json ? escapeJson(JSON.stringify(entry)) : lineOf(entry, now))))
  })

/** Usual widths; those of later entries are unknown. */
const columnWidths = [29, 6, 14, 16, 16, 36]

/** Returns the widths on a terminal: the secret, the client and the details share what the others leave. */
const terminalWidths = (columns: number): ReadonlyArray<number> => {
  const others = [11, 6, 14, shortIdLength]
  const shared = columns - others.reduce((sum, width) => sum + width, 0) - gap * 6
  const each = Math.max(8, Math.floor(shared / 3))
  return [11, 6, 14, each, each, shortIdLength, Math.max(8, shared - 2 * each)]
}

const lineOf = (entry: WireEntry, now: number): string => {
  if (!printsToTerminal()) return formatRow(auditRow(entry), columnWidths, auditEscapes)
  return formatRow(auditRow(entry, now), terminalWidths(process.stdout.columns || 80), auditEscapes, true)
}

/** How to escape each column: the details are a sentence, in which names are escaped already. */
const auditEscapes = [...Array.from({ length: 6 }, () => escapeValue), escapeLine]

/** What the entries of few requests have; it stands after the details. */
const said = [
  ["via", "via"],
  ["program", "for"],
  ["session", "session"],
  ["reason", "reason:"],
  ["socket", "through"]
] as const

/** Returns the cells of an entry; with `now`, short ones for a terminal. */
export const auditRow = (entry: WireEntry, now?: number): ReadonlyArray<string> => {
  const details = [
    entry.details,
    ...said.map(([name, word]) => (entry[name] === undefined ? undefined : `(${word} ${escapeValue(entry[name])})`))
  ]
    .filter((text) => text !== undefined)
    .join(" ")
  const id = entry.lease_id ?? ""
  return [
    now === undefined ? entry.timestamp : shortTime(entry.timestamp, now),
    entry.success ? "ok" : "FAILED",
    entry.action,
    entry.secret_name ?? "",
    entry.client_id ?? "",
    now === undefined ? id : shortId(id),
    now === undefined ? details : details.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, shortId)
  ]
}
