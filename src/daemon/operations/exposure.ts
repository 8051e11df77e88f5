/**
 * exposure: who was given a value of a secret, and what they have of it now.
 *
 * It answers from the ledger, which reads the audit log alone: also while the store is locked, and
 * for secrets that are deleted. It says what it cannot know. A policy hides nothing here.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as path from "node:path"
import { type AuditEntry, decodeEntry } from "../../domain/AuditEntry.ts"
import { clientGroup } from "../../domain/clientGroup.ts"
import {
  type ExposedValue,
  Exposure,
  type Handout,
  isEarlier,
  isOpenWay,
  type LogPlace,
  maxHandouts,
  maybeCurrent
} from "../../domain/Exposure.ts"
import type { Lease } from "../../domain/Lease.ts"
import { proxyWay } from "../../domain/ProxyRoute.ts"
import type { StartedProgram } from "../../domain/StartedPrograms.ts"
import type { Secret, SecretInfo, SecretNotFound, StoreLocked } from "../../domain/Secret.ts"
import { stringify } from "../../domain/goText.ts"
import { parseTimestamp, type Timestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { ExposureLedger, type KnownExposure } from "../audit/ExposureLedger.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Runs } from "../runs/Runs.ts"
import type { Run, RunTable } from "../runs/RunTable.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { knownExposure, type WholeExposure } from "./knownExposure.ts"
import { maxReadBytes } from "./searchAudit.ts"

/** What a client was given, and what it has of it now. */
export interface ExposedClient extends Handout {
  readonly leases: ReadonlyArray<Lease>
  readonly runs: ReadonlyArray<Run>
  /** Programs that no run is of, and whose end is not known. */
  readonly unwatched: number
}

export const noValue: ExposedValue = { set: undefined, rotated: undefined, handouts: [], unnamed: 0 }

export interface ExposureView {
  /** Describes the value before the last change. */
  readonly before: boolean
  /** Lists every client id, as far as the log reaches, instead of groups. */
  readonly each: boolean
}

/** Describes the exposure of the current value of a secret, or of the one before it. */
export const exposureOfSecret = Effect.fn("exposureOfSecret")(function* (name: string, { before, each }: ExposureView) {
  const known = yield* knownExposure
  const store = yield* SecretStore
  const found = store.get(name)
  const values = known.valuesOf(name)
  const { table } = yield* Runs
  const all = table.ofSecret(name)
  // What the proxy uses stays with the daemon.
  const [proxied, runs] = [new Set<string>(), all.filter(({ origin }) => origin.via !== proxyWay)]
  for (const { leases, origin } of all) if (origin.via === proxyWay) proxied.add(leases.get(name) ?? "")
  if (values.length === 0 && Result.isFailure(found)) return yield* Effect.fail(found.failure)
  const info = Result.getOrUndefined(found)
  const [current, previous] = [values.at(-1) ?? noValue, values.at(-2)]
  const active = yield* Effect.flatMap(LeaseRepo, (leases) => leases.active)
  const held: ReadonlyArray<Held> = [
    ...active
      .filter(({ id, secretName }) => secretName === name && !proxied.has(id))
      .map((lease) => ({ id: lease.id, lease })),
    ...runs.map((run) => ({ id: run.leases.get(name) ?? "", run })),
    ...unwatchedPrograms(known, table, name).map((started) => ({ id: started.leaseId, started }))
  ]
  const ofOlder = yield* findOlder(held, current, values.slice(0, -1), known.exposure)
  const value = before ? (previous ?? noValue) : current
  const listed = each ? yield* eachClient(name, value, before ? current.set : undefined) : value.handouts
  const hasNoEarlier = before && previous === undefined
  const areCovered = hasNoEarlier
    ? current.set?.by === "secret_add" && isCovered(known, current, undefined)
    : isCovered(known, value, before ? undefined : info)
  const reasons = yield* doubtsOf(known, areCovered, [value])
  return {
    set: value.set,
    /** When the value was set, if no entry tells: the store has that of the current one. */
    setAt: value.set?.at ?? (before ? undefined : info?.updatedAt),
    endedBy: before && !hasNoEarlier ? current.set : undefined,
    rotated: value.rotated,
    hasHook: info !== undefined && info.rotateVia !== "",
    isStored: isStored(found),
    hasEarlier: previous !== undefined,
    mayBeEarlier: !before && values.length > 1 && maybeCurrent(values).length > 1,
    clients: withHeld(
      listed,
      held.filter((one) => ofOlder.has(one) === before)
    ),
    unnamed: value.unnamed,
    open: value.handouts.filter(({ via }) => isOpenWay(via)).length,
    olderLeases: [...ofOlder].filter(({ lease }) => lease !== undefined).length,
    olderRuns: [...ofOlder].flatMap(({ run }) => run ?? []),
    olderUnwatched: [...ofOlder].filter(({ started }) => started !== undefined).length,
    backup: isAfter(known.exposure.backup, value.set) ? known.exposure.backup?.at : undefined,
    from: known.exposure.from,
    reasons
  }
})

/** Returns the programs that were given a value and are not known to have ended, without those that are registered. */
export const unwatchedPrograms = (
  { exposure }: KnownExposure,
  table: RunTable,
  name?: string
): ReadonlyArray<StartedProgram> =>
  [...exposure.programs.all()].filter(
    ({ run, secret }) => (name === undefined || secret === name) && table.find(run) === undefined
  )

/** Counts those of a client and a secret. A limited socket is not told of others. */
export const countUnwatched = Effect.fnUntraced(function* (
  isMeant: (started: StartedProgram) => boolean
): Effect.fn.Return<number, never, ExposureLedger | Runs> {
  const known = yield* Effect.flatMap(ExposureLedger, (ledger) => ledger.knownNow)
  const { scope } = yield* CurrentCaller
  if (known === undefined || scope !== undefined) return 0
  return unwatchedPrograms(known, (yield* Runs).table).filter(isMeant).length
})

/** An active lease of the secret, or a program that has it, and the id of the lease. */
interface Held {
  readonly id: string
  readonly lease?: Lease
  readonly run?: Run
  readonly started?: StartedProgram
}

/**
 * Finds those that have a value before the current one: their leases were issued before its change. The log tells, or where
 * it has dropped that, the last leases of each row and the clock.
 */
const findOlder = Effect.fnUntraced(function* (
  held: ReadonlyArray<Held>,
  { handouts, set }: ExposedValue,
  older: ReadonlyArray<ExposedValue>,
  { programs }: Exposure
) {
  if (set === undefined || older.length === 0 || held.length === 0) return new Set<Held>()
  const ids = new Set(held.map(({ id }) => id))
  const issued = new Set(handouts.map(({ leaseId }) => leaseId))
  const before = new Set(older.flatMap((value) => value.handouts.map(({ leaseId }) => leaseId)))
  const audit = yield* AuditLog
  let [read, isReached] = [0, false]
  yield* audit.readBackwards((line) => {
    read += line.length
    const entry = Option.getOrUndefined(decodeEntry(line))
    if (entry?.action === "lease_acquire" && ids.has(entry.lease_id ?? "")) issued.add(entry.lease_id ?? "")
    isReached = entry?.seq !== undefined && !isLater(entry, set)
    return !isReached && read < maxReadBytes
  })
  const isOlder = ({ id, lease, run }: Held): boolean => {
    const seq = set.machine === undefined ? programs.find(id)?.seq : undefined
    if (seq !== undefined) return seq < set.seq
    if (issued.has(id)) return false
    if (before.has(id)) return true
    if (lease !== undefined && (set.machine !== undefined || !isReached)) return lease.createdAt.millis < set.at.millis
    return isReached || run === undefined || isEarlier(beginOf(run), set)
  }
  return new Set(held.filter(isOlder))
})

/** Returns the place of an entry of this log. */
const placeOf = (entry: AuditEntry): LogPlace => ({
  seq: entry.seq ?? 0,
  at: Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp)
})
const isLater = (entry: AuditEntry, set: LogPlace): boolean => isEarlier(set, placeOf(entry))
const beginOf = ({ begunAt, begunSeq }: Run): LogPlace => ({
  seq: begunSeq,
  at: Option.getOrElse(parseTimestamp(begunAt), () => zeroTimestamp)
})

/**
 * Finds every client id that was given a value, in the entries between its change and the next. Of other machines it has
 * the groups.
 */
const eachClient = Effect.fnUntraced(function* (name: string, { handouts, set }: ExposedValue, until?: LogPlace) {
  const audit = yield* AuditLog
  const needle = stringify(name)
  const entries: Array<AuditEntry & { readonly at: Timestamp }> = []
  let read = 0
  yield* audit.readBackwards((line) => {
    read += line.length
    const entry = line.includes(needle) ? Option.getOrUndefined(decodeEntry(line)) : undefined
    const at = entry === undefined ? Option.none() : parseTimestamp(entry.timestamp)
    if (entry === undefined || Option.isNone(at)) return read < maxReadBytes
    const isAfterSet = set === undefined || entry.seq === undefined || isLater(entry, set)
    const isBeforeUntil = until === undefined || isEarlier(placeOf(entry), until)
    if (entry.action === "lease_acquire" && entry.secret_name === name && isAfterSet && isBeforeUntil)
      entries.push({ ...entry, at: at.value })
    return isAfterSet && read < maxReadBytes
  })
  const exposure = new Exposure(maxHandouts, (clientId) => clientId)
  for (const entry of entries.toReversed()) exposure.add(entry, entry.at, entry.seq ?? 0)
  const own = exposure.valuesOf(name).at(-1)?.handouts ?? []
  return [...own, ...handouts.filter(({ machine }) => machine !== undefined)]
})

/** Returns whether the store has the secret; undefined while it is locked. */
export const isStored = (found: Result.Result<Secret, SecretNotFound | StoreLocked>): boolean | undefined =>
  Result.isSuccess(found) ? true : found.failure._tag === "SecretNotFound" ? false : undefined

const isAfter = (place: LogPlace | undefined, other: LogPlace | undefined): boolean =>
  place !== undefined && (other === undefined || isEarlier(other, place))

const keyOf = (client: string, program: string): string => `${client.length} ${client}${program}`

/** Gives what is held to the row that issued it, or to the one of its client that was used last. The last one first. */
const withHeld = (handouts: ReadonlyArray<Handout>, held: ReadonlyArray<Held>): ReadonlyArray<ExposedClient> => {
  const isOfOne = handouts.every(({ machine }) => machine === undefined)
  const sorted = handouts.toSorted((a, b) => (isOfOne ? b.seq - a.seq : b.last.millis - a.last.millis))
  const [byLease, byProgram, byClient] = [
    new Map<string, Handout>(),
    new Map<string, Handout>(),
    new Map<string, Handout>()
  ]
  // What runs here was given here, if it is in such a row.
  for (const row of sorted
    .toReversed()
    .toSorted((a, b) => Number(b.machine !== undefined) - Number(a.machine !== undefined))) {
    const client = clientGroup(row.client)
    byLease.set(row.leaseId, row)
    byProgram.set(keyOf(client, row.program), row)
    byClient.set(client, row)
  }
  const given = new Map<Handout | undefined, Array<Held>>()
  for (const one of held) {
    const { lease, run, started } = one
    const client = clientGroup(lease?.clientId ?? run?.clientId ?? started?.client ?? "")
    const program = path.basename(run?.origin.program ?? started?.program ?? "")
    const row = byLease.get(one.id) ?? byProgram.get(keyOf(client, program)) ?? byClient.get(client) ?? byClient.get("")
    const others = given.get(row)
    if (others === undefined) given.set(row, [one])
    else others.push(one)
  }
  return sorted.map((row) => {
    const of = given.get(row) ?? []
    const [leases, runs] = [of.flatMap(({ lease }) => lease ?? []), of.flatMap(({ run }) => run ?? [])]
    return { ...row, leases, runs, unwatched: of.filter(({ started }) => started !== undefined).length }
  })
}

/** Returns whether nothing is missing of a value since it was set. The store has the time of the current one. */
export const isCovered = (
  { exposure: { from }, joined }: Pick<WholeExposure, "exposure" | "joined">,
  { set }: Pick<ExposedValue, "set">,
  info: SecretInfo | undefined
): boolean => {
  if (from === undefined) return false
  // Before it joined a team, this machine was given none of its values.
  if (joined !== undefined && from.seq <= joined + 1) return true
  return set === undefined ? info !== undefined && from.at.millis <= info.updatedAt.millis : !isEarlier(set, from)
}

/** Returns why more clients may have had these values than are known; nothing if the answer is complete. */
export const doubtsOf = Effect.fnUntraced(function* (
  { doubt, exposure, reasons }: WholeExposure,
  areCovered: boolean,
  values: ReadonlyArray<ExposedValue>
) {
  const { findings } = yield* Effect.flatMap(AuditLog, (audit) => audit.diagnostics)
  const { from } = exposure
  const unnamed = values.reduce((sum, value) => sum + value.unnamed, 0)
  return [
    ...(areCovered
      ? []
      : [from === undefined ? "the log has no entry" : `the log begins at ${from.at.text}, after a value was set`]),
    ...(unnamed > 0 ? [`${unnamed} more are not named, because there are too many`] : []),
    ...(exposure.programs.forgotten > 0
      ? [`${exposure.programs.forgotten} programs whose end is not known are not listed, because there are too many`]
      : []),
    ...(exposure.forgotten > 0 ? [`${exposure.forgotten} secrets are not listed, because there are too many`] : []),
    ...(doubt === undefined ? [] : [doubt]),
    ...reasons,
    ...(findings.some((finding) => finding !== doubt) ? ["the audit log has findings: secrets audit --verify"] : [])
  ]
})
