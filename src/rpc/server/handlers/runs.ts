/**
 * The methods about runs. All of them are beyond the predecessor.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Runs } from "../../../daemon/runs/Runs.ts"
import {
  registerRun,
  concludeRun,
  listRuns,
  readNotices,
  takeUpRun,
  watchRun
} from "../../../daemon/operations/runs.ts"
import { proxyWay } from "../../../domain/ProxyRoute.ts"
import { countUnwatched } from "../../../daemon/operations/exposure.ts"
import { nameLimit } from "../../../domain/Secret.ts"
import { maxReplyCount } from "../../protocol/limits.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { ConnectionState } from "../../transport/Connections.ts"
import { isRunId, originFields, readOrigin } from "../leaseOrigin.ts"
import { longestPoll, longPoll } from "../longPoll.ts"
import { atMost, readParams, required } from "../params.ts"

/** Leases of one run. */
const maxLeases = 1000
const idsLimit = maxLeases * 64
const namesLimit = 4 * 1024 * 1024

const beginParams = readParams("RunsBeginParams", {
  client_id: "string",
  lease_ids: "string",
  run_id: "string",
  secret_names: "string",
  cursor: "number",
  pid: "number",
  ...originFields
})
const watchParams = readParams("RunsWatchParams", {
  run_id: "string",
  after: "number",
  timeout: "number",
  pid: "number",
  lease_ids: "string",
  secret_names: "string"
})
const endParams = readParams("RunsEndParams", {
  run_id: "string",
  status: "number",
  signal: "string",
  because: "string",
  lease_ids: "string"
})
const listParams = readParams("RunsListParams", { client_id: "string", secret_name: "string", told: "bool" })

export const runHandlers = {
  /** With `run_id` it takes up a run that an earlier daemon had, or that lost its connection. */
  "runs.begin": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* beginParams(raw)
    yield* required(params.client_id, "client_id")
    yield* required(params.lease_ids, "lease_ids", idsLimit)
    const leaseIds = yield* readIds(params.lease_ids)
    const request = {
      clientId: params.client_id,
      leaseIds,
      origin: yield* readProgramOrigin(params),
      pid: pidOf(params.pid),
      connection: yield* ConnectionState
    }
    if (params.run_id === "") {
      const { cursor, runId } = yield* registerRun(request)
      return { run_id: runId, cursor }
    }
    if (!isRunId(params.run_id)) return yield* invalid("run_id is not the id of a run")
    if (!Number.isSafeInteger(params.cursor) || params.cursor < 0) return yield* invalid("cursor is not a whole number")
    const secretNames = yield* readNames(params.secret_names, leaseIds.length)
    const { cursor, runId } = yield* takeUpRun({ ...request, runId: params.run_id, secretNames, after: params.cursor })
    return { run_id: runId, cursor }
  }),

  "runs.watch": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* watchParams(withNumericTimeout(raw))
    yield* required(params.run_id, "run_id")
    const { onNotice } = yield* Runs
    const connection = yield* ConnectionState
    const leaseIds = params.lease_ids === "" ? [] : yield* readIds(params.lease_ids)
    const names = leaseIds.length === 0 ? [] : yield* readNames(params.secret_names, leaseIds.length)
    const given = leaseIds.map((id, at) => [names[at] ?? "", id] as const)
    const pid = pidOf(params.pid)
    const run = yield* watchRun({ runId: params.run_id, after: params.after, pid, given, connection })
    const seconds = Math.min(Math.max(params.timeout, 0), longestPoll)
    const waited =
      run.unread.length > 0 ? undefined : yield* longPoll((done) => onNotice(run, done), Duration.seconds(seconds))
    if (waited === "client left") return { events: [], cursor: params.after }
    const { cursor, notices } = yield* readNotices(run)
    return {
      events: notices.map(({ at, kind, leaseId, secretName, seq }) => ({
        seq,
        kind,
        secret_name: secretName,
        lease_id: leaseId,
        at
      })),
      cursor,
      stopping: waited === "stopping" ? true : undefined
    }
  }),

  "runs.end": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* endParams(raw)
    yield* required(params.run_id, "run_id")
    for (const name of ["signal", "because"] as const) {
      if (params[name] !== "" && !isWord.test(params[name])) return yield* invalid(`${name} must be a few plain words`)
    }
    const leaseIds = params.lease_ids === "" ? [] : yield* readIds(params.lease_ids)
    const details = [`status ${Math.trunc(params.status)}`, params.signal, params.because].filter((one) => one !== "")
    const ended = yield* concludeRun({ runId: params.run_id, leaseIds, details: details.join(", ") })
    return { success: true, leases_ended: ended }
  }),

  "runs.list": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, secret_name, told } = yield* listParams(raw ?? {})
    yield* atMost(nameLimit, client_id, "client_id")
    yield* atMost(nameLimit, secret_name, "secret_name")
    const filter = { clientId: client_id || undefined, secretName: secret_name || undefined, told }
    const { runs, total } = yield* listRuns(filter, maxReplyCount)
    const unwatched = yield* countUnwatched(
      ({ client, secret }) =>
        (client_id === "" || client === client_id) && (secret_name === "" || secret === secret_name)
    )
    return {
      runs: runs.map(({ active, run }) => ({
        run_id: run.id,
        client_id: run.clientId,
        program: run.origin.program,
        pid: run.pid,
        via: run.origin.via,
        session: run.origin.session,
        secrets: [...run.leases.keys()],
        begun_at: run.begunAt,
        leases: run.leases.size,
        leases_active: active,
        told: run.told?.kind,
        told_at: run.told?.at
      })),
      total,
      unwatched
    }
  })
}

/** Rejects a run of the proxy, which `proxy.open` opens: its program has no values. */
const readProgramOrigin = (params: Parameters<typeof readOrigin>[0]) =>
  params.via === proxyWay ? invalid("via is not proxy: use proxy.open") : readOrigin(params)
/** What the audit log takes from a client as a reason. */
const isWord = /^[A-Za-z][a-zA-Z0-9 _+-]{0,63}$/

const pidOf = (given: number): number | undefined => (Number.isSafeInteger(given) && given > 0 ? given : undefined)

/** Reads a timeout that is a text, as durations of other methods are. */
const withNumericTimeout = (raw: unknown): unknown =>
  typeof raw === "object" && raw !== null && "timeout" in raw && typeof raw.timeout === "string"
    ? { ...raw, timeout: Number(raw.timeout) || 0 }
    : raw

const readIds = (text: string) => {
  const ids = text.split(",", maxLeases + 1)
  if (ids.length > maxLeases) return invalid(`more than ${maxLeases} leases were given`)
  return ids.every(isRunId) ? Effect.succeed(ids) : invalid("lease_ids are not ids with commas between")
}

/** Decodes the names of the secrets: in base64, because a name may hold a comma. */
const readNames = Effect.fnUntraced(function* (text: string, count: number) {
  yield* required(text, "secret_names", namesLimit)
  const names = text.split(",", count + 1)
  if (names.length !== count) return yield* invalid("secret_names must have one name for each of lease_ids")
  const decoded = names.map((name) => Buffer.from(name, "base64").toString("utf8"))
  if (decoded.some((name, at) => name === "" || Buffer.from(name).toString("base64") !== names[at])) {
    return yield* invalid("secret_names are not names in base64")
  }
  for (const name of decoded) yield* atMost(nameLimit, name, "secret name")
  return decoded
})

const invalid = (reason: string) =>
  Effect.fail(new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` }))
