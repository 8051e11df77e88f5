/**
 * Entries of the audit log as the daemon gives them, chosen by it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as GoDuration from "../../../domain/GoDuration.ts"
import { fromMillis, parseTimestamp } from "../../../domain/Timestamp.ts"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import type { Shaped } from "../../../rpc/protocol/shape.ts"
import { optional } from "../../../rpc/protocol/shape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, fromClient, failUsage } from "../../command/CommandError.ts"

/** As many as one reply of the daemon holds. */
export const maxEntries = 10_000

export interface AuditQuery {
  readonly tail: number
  readonly secret_name?: string | undefined
  readonly client_id?: string | undefined
  readonly action?: string | undefined
  readonly since?: string | undefined
  /** Only those behind the entry of this number. */
  readonly after?: number
}

/** What others wrote into it may stand there as well. */
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
  seq: optional(0),
  prev: optional("")
}
export type WireEntry = Shaped<typeof entryExample>

const entriesExample = {
  entries: [entryExample],
  last_seq: optional(0),
  complete: optional(true)
}

export const fetchEntries = Effect.fnUntraced(function* (daemon: DaemonAddress, asked: AuditQuery) {
  const found = yield* Effect.mapError(call(daemon, "secrets.audit", asked, entriesExample), fromClient)
  const isChosen = Object.entries(asked).some(([name, value]) => name !== "tail" && value !== undefined)
  // One that does not know of choosing would give all.
  if (isChosen && found.last_seq === undefined) return yield* tooOld
  return found
})

const tooOld = new CommandError({
  message: "the daemon is older than this command and cannot choose entries",
  code: "protocol_error",
  fix: "Start it anew: secrets daemon restart",
  exitStatus: exitStatus.failed
})

/** A moment, or how long ago it was, as a moment. */
export const parseSince = Effect.fnUntraced(function* (given: string | undefined) {
  if (given === undefined) return undefined
  const moment = parseTimestamp(given)
  if (Option.isSome(moment)) return moment.value.text
  const ago = GoDuration.parseDuration(given)
  if (Result.isFailure(ago) || ago.success < 0n) {
    return yield* failUsage(
      "--since is neither a duration nor a time",
      "For instance: --since 2h, --since 2026-02-22T08:00:00Z"
    )
  }
  return fromMillis((yield* Clock.currentTimeMillis) - GoDuration.toMillis(ago.success)).text
})
