/**
 * secrets audit --follow: what is in the log, and then what comes into it.
 *
 * Entries have numbers, and each look asks for those behind the last one seen: none
 * is shown twice or left out, whether the log is rotated or the daemon restarts in
 * between. It ends by Ctrl-C, or when nobody reads any more.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import type { AuditQuery, WireEntry } from "./auditEntries.ts"
import { fetchEntries, maxEntries } from "./auditEntries.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { CommandError } from "../../command/CommandError.ts"
import { print } from "../../command/Output.ts"
import { printable } from "../../terminal/table.ts"

/** A look costs the daemon a piece of its log, some tenths of a millisecond. */
const interval = Duration.seconds(1)

export const followAudit = Effect.fnUntraced(function* (daemon: DaemonAddress, asked: AuditQuery, json: boolean) {
  const first = yield* fetchEntries(daemon, { ...asked, after: 0 })
  show(first.entries, json)
  let after = lastOf(first.entries, first.last_seq ?? 0)
  let isAway = false
  const look = Effect.gen(function* () {
    yield* Effect.sleep(interval)
    const found = yield* fetchEntries(daemon, { ...asked, tail: maxEntries, after })
    if (isAway) remark("the daemon is back")
    isAway = false
    if ((found.last_seq ?? 0) < after) remark("the log was begun anew")
    if (found.complete === false) remark("there was more than is shown")
    show(found.entries, json)
    after = lastOf(found.entries, found.last_seq ?? 0)
  }).pipe(
    Effect.catchIf(
      (failure: CommandError) => passing.has(failure.exitStatus),
      () =>
        Effect.sync(() => {
          if (!isAway) remark("the daemon does not answer; waiting for it")
          isAway = true
        })
    )
  )
  return yield* Effect.forever(look)
})

/** It may answer again. */
const passing: ReadonlySet<number> = new Set([exitStatus.unavailable, exitStatus.timeout, exitStatus.failed])

/** What was written while the daemon looked is behind its last number already. */
const lastOf = (entries: ReadonlyArray<WireEntry>, last: number): number =>
  entries.reduce((most, { seq }) => Math.max(most, seq ?? 0), last)

const remark = (text: string) => void process.stderr.write(`secrets audit: ${text}\n`)

const show = (entries: ReadonlyArray<WireEntry>, json: boolean): void => {
  if (entries.length === 0) return
  print(entries.map((entry) => `${json ? JSON.stringify(entry) : lineOf(entry)}\n`).join(""))
}

const lineOf = (entry: WireEntry): string =>
  auditRow(entry)
    .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
    .join("  ")
    .trimEnd()

/** There is no knowing how wide what comes will be: these are usual. */
const widths = [29, 6, 14, 16, 16, 36]

export const auditRow = (entry: WireEntry): ReadonlyArray<string> => [
  entry.timestamp,
  entry.success ? "ok" : "FAILED",
  entry.action,
  entry.secret_name ?? "",
  entry.client_id ?? "",
  entry.lease_id ?? "",
  entry.details ?? ""
]
