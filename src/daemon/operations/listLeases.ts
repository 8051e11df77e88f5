/**
 * listLeases: the caller's active leases, newest first, and the clients and secrets with most.
 *
 * The list is limited in leases and characters; the counts include every match. The cost
 * grows with the number of active leases.
 */
import * as Effect from "effect/Effect"
import { ownsLease } from "../../domain/Caller.ts"
import { type Lease, type LeaseFilter, matchesFilter } from "../../domain/Lease.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

export interface LeaseListOptions {
  readonly filter: LeaseFilter
  /** The maximum number of leases to list. */
  readonly limit: number
  /** The maximum number of characters to list. */
  readonly length: number
  /** How many clients and secrets to count: those with the most leases. */
  readonly top: number
}

export type LeaseCounts = ReadonlyArray<readonly [name: string, count: number]>

/** Lists the active leases that exist for the caller. */
export const ownLeases = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  const caller = yield* CurrentCaller
  const active = yield* leases.active
  return caller.scope === undefined ? active : active.filter((lease) => ownsLease(caller, lease))
})

export const listLeases = Effect.fn("listLeases")(function* ({ filter, length, limit, top }: LeaseListOptions) {
  const found = (yield* ownLeases).filter((lease) => matchesFilter(filter, lease))
  return {
    leases: newest(found, limit, length),
    total: found.length,
    byClient: topCounts(found, top, ({ clientId }) => clientId),
    bySecret: topCounts(found, top, ({ secretName }) => secretName)
  }
})

/** Selects by creation time before sorting, because sorting all leases would block requests. */
const newest = (found: ReadonlyArray<Lease>, limit: number, length: number): ReadonlyArray<Lease> => {
  if (limit === 0) return []
  const times = Float64Array.from(found, ({ createdAt }) => createdAt.millis).toSorted()
  const oldest = times[Math.max(0, times.length - limit)] ?? 0
  const candidates = found
    .filter(({ createdAt }) => createdAt.millis >= oldest)
    .toSorted((a, b) => a.createdAt.millis - b.createdAt.millis)
  const listed: Array<Lease> = []
  let listedLength = 0
  for (let at = candidates.length - 1; at >= 0 && listed.length < limit && listedLength < length; at -= 1) {
    const lease = candidates[at]
    if (lease === undefined) break
    listed.push(lease)
    listedLength += lease.clientId.length + lease.secretName.length + fixedLength
  }
  return listed
}

/** The encoded length of a lease without its names: its id and two times. */
const fixedLength = 200

/** Counts leases by name and returns the names with most. Sorts only the result, as `newest` does. */
const topCounts = (found: ReadonlyArray<Lease>, top: number, nameOf: (lease: Lease) => string): LeaseCounts => {
  if (top === 0) return []
  const counts = new Map<string, number>()
  for (const lease of found) counts.set(nameOf(lease), (counts.get(nameOf(lease)) ?? 0) + 1)
  const sorted = Float64Array.from(counts.values()).toSorted()
  const threshold = sorted[Math.max(0, sorted.length - top)] ?? 0
  const above = [...counts].filter(([, count]) => count > threshold).toSorted(([, a], [, b]) => b - a)
  const ties = counts.entries().filter(([, count]) => count === threshold)
  return [...above, ...ties.take(top - above.length)]
}
