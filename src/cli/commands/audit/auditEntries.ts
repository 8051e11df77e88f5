/**
 * Entries of the audit log as the daemon gives them, chosen by it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as GoDuration from "../../../domain/GoDuration.ts"
import { fromMillis, parse } from "../../../domain/Timestamp.ts"
import type { Daemon } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import type { Like } from "../../../rpc/protocol/likeness.ts"
import { maybe } from "../../../rpc/protocol/likeness.ts"
import { exitCode } from "../../command/exitCode.ts"
import { Failure, fromClient, misuse } from "../../command/Failure.ts"

/** As many as one reply of the daemon holds. */
export const mostEntries = 10_000

export interface Asked {
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
  secret_name: maybe(""),
  client_id: maybe(""),
  lease_id: maybe(""),
  details: maybe(""),
  success: true,
  expires_at: maybe(""),
  shift_ms: maybe(0),
  seq: maybe(0),
  prev: maybe("")
}
export type Entry = Like<typeof entryExample>

const entriesExample = {
  entries: [entryExample],
  last_seq: maybe(0),
  complete: maybe(true)
}

export const fetchEntries = Effect.fnUntraced(function* (daemon: Daemon, asked: Asked) {
  const found = yield* Effect.mapError(call(daemon, "secrets.audit", asked, entriesExample), fromClient)
  const isChosen = Object.entries(asked).some(([name, value]) => name !== "tail" && value !== undefined)
  // One that does not know of choosing would give all.
  if (isChosen && found.last_seq === undefined) return yield* tooOld
  return found
})

const tooOld = new Failure({
  message: "the daemon is older than this command and cannot choose entries",
  code: "protocol_error",
  fix: "Start it anew: secrets daemon restart",
  exitCode: exitCode.failed
})

/** A moment, or how long ago it was, as a moment. */
export const sinceOf = Effect.fnUntraced(function* (given: string | undefined) {
  if (given === undefined) return undefined
  const moment = parse(given)
  if (Option.isSome(moment)) return moment.value.text
  const ago = GoDuration.parse(given)
  if (Result.isFailure(ago) || ago.success < 0n) {
    return yield* misuse(
      "--since is neither a duration nor a time",
      "For instance: --since 2h, --since 2026-02-22T08:00:00Z"
    )
  }
  return fromMillis((yield* Clock.currentTimeMillis) - GoDuration.toMillis(ago.success)).text
})
