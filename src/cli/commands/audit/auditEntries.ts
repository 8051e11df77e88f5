/**
 * Reads audit entries from the daemon, which also filters them: once, or continuously
 * for `secrets audit --follow`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { padEnd } from "../../terminal/displayWidth.ts"
import { escapeValue, escapeLine, escapeJson } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { type DaemonAddress, call } from "../../../rpc/client/client.ts"
import { type Shaped, optional } from "../../../rpc/protocol/shape.ts"
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
  seq: optional(0),
  prev: optional("")
}
type WireEntry = Shaped<typeof entryExample>

const entriesExample = {
  entries: [entryExample],
  last_seq: optional(0),
  complete: optional(true)
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
  printEntries(first.entries, json)
  let after = lastSeq(first.entries, first.last_seq)
  let isAway = false
  const poll = Effect.gen(function* () {
    yield* Effect.sleep(pollInterval)
    const found = yield* fetchEntries(daemon, { ...query, tail: maxEntries, after })
    if (isAway) note("the daemon is back")
    isAway = false
    if ((found.last_seq ?? 0) < after) note("the audit log was replaced by a new one")
    if (found.complete === false) note("some entries are not shown: too many were added at once")
    printEntries(found.entries, json)
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

const printEntries = (entries: ReadonlyArray<WireEntry>, json: boolean): void => {
  if (entries.length > 0) printLines(entries.map((entry) => (json ? escapeJson(JSON.stringify(entry)) : lineOf(entry))))
}

/** Usual widths; those of later entries are unknown. */
/** The column of the details, a sentence in which names are escaped already. */
const detailsColumn = 6

const columnWidths = [29, 6, 14, 16, 16, 36]

const lineOf = (entry: WireEntry): string =>
  auditRow(entry)
    .map((cell, column) =>
      padEnd((column === detailsColumn ? escapeLine : escapeValue)(cell), columnWidths[column] ?? 0)
    )
    .join("  ")
    .trimEnd()

export const auditRow = (entry: WireEntry): ReadonlyArray<string> => [
  entry.timestamp,
  entry.success ? "ok" : "FAILED",
  entry.action,
  entry.secret_name ?? "",
  entry.client_id ?? "",
  entry.lease_id ?? "",
  [entry.details, entry.socket === undefined ? undefined : `(through ${escapeValue(entry.socket)})`]
    .filter((text) => text !== undefined)
    .join(" ")
]
