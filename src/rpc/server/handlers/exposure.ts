/**
 * The method about exposure, beyond the predecessor: who was given a value, or which values clients were given.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { exposedSecrets } from "../../../daemon/operations/exposedSecrets.ts"
import { type ExposedClient, exposureOfSecret } from "../../../daemon/operations/exposure.ts"
import type { Run } from "../../../daemon/runs/RunTable.ts"
import { isOpenWay } from "../../../domain/Exposure.ts"
import { nameLimit } from "../../../domain/Secret.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { maxReplyCount, maxReplyText } from "../../protocol/limits.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { atMost, readParams } from "../params.ts"

const exposureParams = readParams("ExposureParams", {
  secret_name: "string",
  client: "string",
  since: "string",
  before_change: "bool",
  each: "bool"
})

/** Matching takes time in proportion to the length of a glob and of each name. */
const globLimit = 256

export const exposureHandlers = {
  "secrets.exposure": Effect.fnUntraced(function* (raw: unknown) {
    const { before_change, client, each, secret_name, since } = yield* exposureParams(raw)
    yield* atMost(nameLimit, secret_name, "secret_name")
    yield* atMost(globLimit, client, "client")
    if (secret_name !== "") return yield* ofSecret(secret_name, { before: before_change, each })
    const from = Option.getOrUndefined(parseTimestamp(since))
    if (since !== "" && from === undefined) {
      return yield* new RpcError({ tag: "InvalidParams", message: "since is not a time as RFC 3339 writes it" })
    }
    const found = yield* exposedSecrets({ client: client || undefined, since: from })
    const shown = withinReply(found.secrets, ({ name }) => name.length)
    return {
      secrets: shown.map((secret) => ({
        secret: secret.name,
        clients: secret.clients,
        leases: secret.leases,
        last: secret.last.text,
        changed_since: secret.isChanged,
        maybe_unchanged: secret.isUnsure,
        rotated_since: secret.isRotated,
        rotate_via: secret.hasHook,
        open: secret.isOpen,
        stored: secret.isStored,
        unwatched: secret.unwatched
      })),
      total: found.secrets.length,
      client_known: found.isClientKnown,
      complete: found.reasons.length === 0,
      incomplete_because: found.reasons,
      log_from_seq: found.from?.seq,
      log_from_at: found.from?.at.text
    }
  })
}

const ofSecret = Effect.fnUntraced(function* (
  name: string,
  view: { readonly before: boolean; readonly each: boolean }
) {
  const found = yield* exposureOfSecret(name, view)
  return {
    secret: name,
    value_set_at: found.setAt?.text,
    value_set_by: found.set?.by,
    value_set_machine: found.set?.machine,
    value_seq: found.set?.seq,
    changed_at: found.endedBy?.at.text,
    changed_by: found.endedBy?.by,
    changed_machine: found.endedBy?.machine,
    rotated_at: found.rotated?.at.text,
    rotate_via: found.hasHook,
    stored: found.isStored,
    earlier_values: found.hasEarlier,
    maybe_earlier_value: found.mayBeEarlier,
    complete: found.reasons.length === 0,
    incomplete_because: found.reasons,
    log_from_seq: found.from?.seq,
    log_from_at: found.from?.at.text,
    clients: withinReply(found.clients, ({ client, program }) => client.length + program.length).map(clientResult),
    total: found.clients.length,
    unnamed_clients: found.unnamed,
    runs_with_older_value: withinReply(found.olderRuns, ({ clientId }) => clientId.length).map((run) => ({
      ...runResult(run),
      client_id: run.clientId,
      since: run.begunAt
    })),
    leases_of_older_value: found.olderLeases,
    unwatched_with_older_value: found.olderUnwatched,
    open_handouts: found.open,
    last_backup_at: found.backup?.text
  }
})

const clientResult = ({ client, first, grouped, last, leases, program, ...row }: ExposedClient) => ({
  client_id: client,
  grouped,
  via: row.via,
  program: program || undefined,
  machine: row.machine,
  open: isOpenWay(row.via),
  first: first.text,
  last: last.text,
  times: row.times,
  lease_ids: leases.slice(0, maxLeaseIds).map(({ id }) => id),
  active_leases: leases.length,
  /** The program that was started last. */
  run: row.runs.slice(-1).map(runResult)[0],
  runs: row.runs.length,
  /** Programs that are not registered and not known to have ended. */
  unwatched: row.unwatched,
  active_until: leases.toSorted((a, b) => b.expiresAt.millis - a.expiresAt.millis)[0]?.expiresAt.text ?? null
})

const runResult = ({ id, origin, pid }: Run) => ({ run_id: id, program: origin.program, pid })

/** Ids that one row names. */
const maxLeaseIds = 100

/** The members of a row beside its names. */
const fixedLength = 300

/** Cuts a list to what a reply may hold. */
const withinReply = <A>(all: ReadonlyArray<A>, lengthOf: (one: A) => number): ReadonlyArray<A> => {
  let length = 0
  return all.slice(0, maxReplyCount).filter((one) => (length += lengthOf(one) + fixedLength) < maxReplyText)
}
