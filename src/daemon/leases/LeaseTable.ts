/**
 * The leases in memory: found by id, by pair and by secret, and counted, at a
 * cost that does not grow with how many there are.
 *
 * A lease whose time is over leaves the active ones the moment anybody looks and
 * waits, set aside, until the sweep has recorded its end. It keeps its place by id: a
 * second map would have to grow by a hundred thousand at once, and everybody would wait
 * for that. Changes are undone by their opposite: `insert` by `remove` and the other way
 * round. No I/O here, and no rule about who may hold what; the time is always given, in
 * milliseconds.
 */
import type { Lease } from "../../domain/Lease.ts"
import { isExpired, shiftExpiry, leaseWeight } from "../../domain/Lease.ts"

/** Revoked leases that are remembered, so that revoking again can be answered; a bound, not a promise. */
const rememberedRevoked = 1000

/** A lease whose end is not recorded yet. */
class Aside {
  readonly lease: Lease
  constructor(lease: Lease) {
    this.lease = lease
  }
}

export class LeaseTable {
  private readonly byId = new Map<string, Lease | Aside>()
  private readonly bySecret = new Map<string, LeasesOfSecret>()
  private readonly revoked = new Map<string, Lease>()
  /** In the order of their ends; from `firstAside` on, for to take the first out of a list moves all others. */
  private aside: Array<Aside> = []
  private firstAside = 0
  private asideCount = 0
  private heap: Array<Lease> = []
  private held = 0

  /** What all leases that were active when anybody last looked count for together. */
  get weight(): number {
    return this.held
  }

  insert(lease: Lease): void {
    this.revoked.delete(lease.id)
    const twin = this.find(lease.id)
    if (twin !== undefined) this.remove(twin)
    this.byId.set(lease.id, lease)
    this.held += leaseWeight(lease)
    let ofSecret = this.bySecret.get(lease.secretName)
    if (ofSecret === undefined) this.bySecret.set(lease.secretName, (ofSecret = new LeasesOfSecret()))
    ofSecret.insert(lease)
    push(this.heap, lease)
  }

  /** Takes a lease out, whether active or expired; tells whether it was there. */
  remove(lease: Lease): boolean {
    const known = this.byId.get(lease.id)
    if (known === undefined) return false
    this.byId.delete(lease.id)
    if (known instanceof Aside) {
      this.asideCount -= 1
      return true
    }
    this.held -= leaseWeight(lease)
    this.unindex(lease)
    // The heap forgets a removed lease only when it comes to its top, so it is rebuilt before it holds mostly those.
    if (this.heap.length > 2 * this.activeCount + 64) {
      this.heap = []
      for (const kept of this.byId.values()) if (!(kept instanceof Aside)) push(this.heap, kept)
    }
    return true
  }

  /** Takes a lease out and remembers it as revoked; tells whether it was there. */
  revoke(lease: Lease): boolean {
    if (!this.remove(lease)) return false
    this.revoked.set(lease.id, lease)
    if (this.revoked.size > rememberedRevoked) {
      for (const oldest of this.revoked.keys().take(1)) this.revoked.delete(oldest)
    }
    return true
  }

  findRevoked(id: string): Lease | undefined {
    return this.revoked.get(id)
  }

  /** The lease of this id, active or expired. */
  find(id: string): Lease | undefined {
    const known = this.byId.get(id)
    return known instanceof Aside ? known.lease : known
  }

  /** The active leases of one pair: at most one, unless the predecessor stacked them. */
  ofPair(secretName: string, clientId: string, now: number): ReadonlyArray<Lease> {
    this.deactivateExpired(now)
    return this.bySecret.get(secretName)?.ofClient(clientId) ?? []
  }

  ofSecret(secretName: string, now: number): ReadonlyArray<Lease> {
    this.deactivateExpired(now)
    return this.bySecret.get(secretName)?.all() ?? []
  }

  active(now: number): ReadonlyArray<Lease> {
    this.deactivateExpired(now)
    return this.notAside()
  }

  /** Moves the end of every active lease by so many milliseconds. */
  shift(millis: number): void {
    const active = this.notAside()
    for (const lease of active) this.byId.delete(lease.id)
    this.bySecret.clear()
    this.heap = []
    this.held -= active.reduce((sum, lease) => sum + leaseWeight(lease), 0)
    for (const lease of active) this.insert(shiftExpiry(lease, millis))
  }

  /** The leases whose end is not recorded yet, at most `most` of them. */
  expired(now: number, most: number): ReadonlyArray<Lease> {
    this.deactivateExpired(now)
    const due: Array<Lease> = []
    for (let at = this.firstAside; at < this.aside.length && due.length < most; at += 1) {
      const one = this.aside[at]
      if (one !== undefined && this.byId.get(one.lease.id) === one) due.push(one.lease)
      // What was taken out stands first, for it is taken out in this order.
      else if (due.length === 0) this.firstAside = at + 1
    }
    // Some may always be waiting, so the list never comes to its end; to copy the lesser half costs no more than what was added.
    if (this.firstAside > 0 && 2 * this.firstAside >= this.aside.length) {
      this.aside = this.aside.slice(this.firstAside)
      this.firstAside = 0
    }
    return due
  }

  /** How many have expired and are not swept yet. */
  expiredCount(now: number): number {
    this.deactivateExpired(now)
    return this.asideCount
  }

  count(now: number): number {
    this.deactivateExpired(now)
    return this.activeCount
  }

  countOfSecret(secretName: string, now: number): number {
    this.deactivateExpired(now)
    return this.bySecret.get(secretName)?.size ?? 0
  }

  /** When the next lease may be over, in milliseconds; undefined if there is none. */
  get nextExpiry(): number | undefined {
    return this.heap[0]?.expiresAt.millis
  }

  /** Sets at most so many aside, so that whoever looks next finds fewer to be set aside; each takes some microseconds. */
  deactivateExpired(now: number, most = Number.POSITIVE_INFINITY): void {
    let left = most
    for (let first = this.heap[0]; first !== undefined && isExpired(first, now); first = this.heap[0]) {
      if (left === 0) return
      left -= 1
      pop(this.heap)
      if (this.byId.get(first.id) !== first) continue
      const aside = new Aside(first)
      this.byId.set(first.id, aside)
      this.aside.push(aside)
      this.asideCount += 1
      this.held -= leaseWeight(first)
      this.unindex(first)
    }
  }

  private get activeCount(): number {
    return this.byId.size - this.asideCount
  }

  private notAside(): Array<Lease> {
    const active: Array<Lease> = []
    for (const known of this.byId.values()) if (!(known instanceof Aside)) active.push(known)
    return active
  }

  private unindex(lease: Lease): void {
    const ofSecret = this.bySecret.get(lease.secretName)
    ofSecret?.remove(lease)
    if (ofSecret?.size === 0) this.bySecret.delete(lease.secretName)
  }
}

/** Nearly every client holds one lease of a secret, and a list for each would be a fifth of all that is kept. */
type Held = Lease | ReadonlyArray<Lease>

const several = (held: Held | undefined): ReadonlyArray<Lease> => {
  if (held === undefined) return []
  return "id" in held ? [held] : held
}

class LeasesOfSecret {
  size = 0
  private readonly byClient = new Map<string, Held>()

  insert(lease: Lease): void {
    this.size += 1
    const held = this.byClient.get(lease.clientId)
    this.byClient.set(lease.clientId, held === undefined ? lease : [...several(held), lease])
  }

  remove(lease: Lease): void {
    const held = several(this.byClient.get(lease.clientId))
    const left = held.filter((one) => one.id !== lease.id)
    this.size -= held.length - left.length
    const [first] = left
    if (first === undefined) this.byClient.delete(lease.clientId)
    else this.byClient.set(lease.clientId, left.length === 1 ? first : left)
  }

  ofClient(clientId: string): ReadonlyArray<Lease> {
    return several(this.byClient.get(clientId))
  }

  all(): ReadonlyArray<Lease> {
    return [...this.byClient.values()].flatMap(several)
  }
}

/** A binary heap, the lease that expires first on top. */
const push = (heap: Array<Lease>, lease: Lease): void => {
  let at = heap.push(lease) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (expiry(heap, parent) <= lease.expiresAt.millis) break
    swap(heap, at, parent)
    at = parent
  }
}

const pop = (heap: Array<Lease>): void => {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  heap[0] = last
  for (let at = 0; ;) {
    const left = 2 * at + 1
    const smaller = expiry(heap, left + 1) < expiry(heap, left) ? left + 1 : left
    if (expiry(heap, smaller) >= expiry(heap, at)) return
    swap(heap, at, smaller)
    at = smaller
  }
}

const expiry = (heap: Array<Lease>, at: number): number => heap[at]?.expiresAt.millis ?? Number.POSITIVE_INFINITY

const swap = (heap: Array<Lease>, a: number, b: number): void => {
  const first = heap[a]
  const second = heap[b]
  if (first === undefined || second === undefined) return
  heap[a] = second
  heap[b] = first
}
