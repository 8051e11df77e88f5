/**
 * listLeases: the active leases, the newest first, and who holds the most of them.
 *
 * The list is cut where it has enough leases or enough characters; the counts are of
 * all that match. It looks at every lease, which takes some milliseconds where there
 * are a hundred thousand, as `condition` does.
 */
import * as Effect from "effect/Effect"
import type { Lease, LeaseFilter } from "../../domain/Lease.ts"
import { matchesFilter } from "../../domain/Lease.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

export interface LeaseListOptions {
  readonly filter: LeaseFilter
  /** Leases that are listed at the most. */
  readonly limit: number
  /** And no more of them than have so many characters of names. */
  readonly length: number
  /** Clients and secrets that are counted: those with the most leases. */
  readonly top: number
}

export type LeaseCounts = ReadonlyArray<readonly [name: string, count: number]>

export const listLeases = Effect.fn("listLeases")(function* ({ filter, length, limit, top }: LeaseListOptions) {
  const leases = yield* LeaseRepo
  const found = (yield* leases.active).filter((lease) => matchesFilter(filter, lease))
  return {
    leases: newest(found, limit, length),
    total: found.length,
    byClient: most(found, top, ({ clientId }) => clientId),
    bySecret: most(found, top, ({ secretName }) => secretName)
  }
})

/** To put all of a hundred thousand in order would take half a second, so the moment from which on they count is found first. */
const newest = (found: ReadonlyArray<Lease>, limit: number, length: number): ReadonlyArray<Lease> => {
  if (limit === 0) return []
  const moments = Float64Array.from(found, ({ createdAt }) => createdAt.millis).toSorted()
  const from = moments[Math.max(0, moments.length - limit)] ?? 0
  const inOrder = found
    .filter(({ createdAt }) => createdAt.millis >= from)
    .toSorted((a, b) => a.createdAt.millis - b.createdAt.millis)
  const listed: Array<Lease> = []
  let listedLength = 0
  for (let at = inOrder.length - 1; at >= 0 && listed.length < limit && listedLength < length; at -= 1) {
    const lease = inOrder[at]
    if (lease === undefined) break
    listed.push(lease)
    listedLength += lease.clientId.length + lease.secretName.length + fixedLength
  }
  return listed
}

/** What a lease has beside its names, laid out: its id and two times. */
const fixedLength = 200

/** Those with the most; of those with as many as the last one, whichever were met first. Put in order are no more than are given. */
const most = (found: ReadonlyArray<Lease>, top: number, nameOf: (lease: Lease) => string): LeaseCounts => {
  if (top === 0) return []
  const counts = new Map<string, number>()
  for (const lease of found) counts.set(nameOf(lease), (counts.get(nameOf(lease)) ?? 0) + 1)
  const inOrder = Float64Array.from(counts.values()).toSorted()
  const least = inOrder[Math.max(0, inOrder.length - top)] ?? 0
  const more = [...counts].filter(([, count]) => count > least).toSorted(([, a], [, b]) => b - a)
  const asMany = counts.entries().filter(([, count]) => count === least)
  return [...more, ...asMany.take(top - more.length)]
}
