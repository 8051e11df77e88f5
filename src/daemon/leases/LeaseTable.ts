/**
 * The leases in memory, indexed by id, by pair and by secret, so that lookups stay fast.
 *
 * An expired lease leaves the active ones at the next access and stays here until the sweep
 * has recorded its expiry. `insert` and `remove` undo each other. The caller passes the time,
 * in milliseconds. No I/O, and no rule about who may hold a lease.
 */
import { isExpired, type Lease, leaseWeight, shiftExpiry } from "../../domain/Lease.ts"

/** Revoked leases that are kept, so that revoking one again succeeds; a bound, not a guarantee. */
const maxRevoked = 1000

/** A lease whose expiry is not recorded yet. It stays in `byId`, because growing a second map would block requests. */
class Expired {
  readonly lease: Lease
  constructor(lease: Lease) {
    this.lease = lease
  }
}

export class LeaseTable {
  private readonly byId = new Map<string, Lease | Expired>()
  private readonly bySecret = new Map<string, LeasesOfSecret>()
  private readonly revoked = new Map<string, Lease>()
  /** In order of expiry, starting at `queueStart`: shift() would be O(n). */
  private queue: Array<Expired> = []
  private queueStart = 0
  private unrecorded = 0
  private heap: Array<Lease> = []
  private activeWeight = 0

  /** The total weight of the leases that were active at the last access (`leaseWeight`). */
  get weight(): number {
    return this.activeWeight
  }

  insert(lease: Lease): void {
    this.revoked.delete(lease.id)
    const twin = this.find(lease.id)
    if (twin !== undefined) this.remove(twin)
    this.byId.set(lease.id, lease)
    this.activeWeight += leaseWeight(lease)
    let ofSecret = this.bySecret.get(lease.secretName)
    if (ofSecret === undefined) this.bySecret.set(lease.secretName, (ofSecret = new LeasesOfSecret()))
    ofSecret.insert(lease)
    push(this.heap, lease)
  }

  /** Removes a lease, active or expired; returns whether it was present. */
  remove(lease: Lease): boolean {
    const known = this.byId.get(lease.id)
    if (known === undefined) return false
    this.byId.delete(lease.id)
    if (known instanceof Expired) {
      this.unrecorded -= 1
      return true
    }
    this.activeWeight -= leaseWeight(lease)
    this.unindex(lease)
    // The heap drops a removed lease only at its top, so it is rebuilt before such leases outnumber the others.
    if (this.heap.length > 2 * this.activeCount + 64) {
      this.heap = []
      for (const kept of this.byId.values()) if (!(kept instanceof Expired)) push(this.heap, kept)
    }
    return true
  }

  /** Removes a lease and keeps it as revoked; returns whether it was present. */
  revoke(lease: Lease): boolean {
    if (!this.remove(lease)) return false
    this.revoked.set(lease.id, lease)
    if (this.revoked.size > maxRevoked) {
      for (const oldest of this.revoked.keys().take(1)) this.revoked.delete(oldest)
    }
    return true
  }

  findRevoked(id: string): Lease | undefined {
    return this.revoked.get(id)
  }

  /** Finds a lease by its id, active or expired. */
  find(id: string): Lease | undefined {
    const known = this.byId.get(id)
    return known instanceof Expired ? known.lease : known
  }

  /** Returns the active leases of one pair: at most one, unless the predecessor issued several. */
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
    return this.allActive()
  }

  /** Moves the expiry of every active lease. */
  shift(millis: number): void {
    const active = this.allActive()
    for (const lease of active) this.byId.delete(lease.id)
    this.bySecret.clear()
    this.heap = []
    this.activeWeight -= active.reduce((sum, lease) => sum + leaseWeight(lease), 0)
    for (const lease of active) this.insert(shiftExpiry(lease, millis))
  }

  /** Returns at most `limit` leases whose expiry is not recorded yet. */
  expired(now: number, limit: number): ReadonlyArray<Lease> {
    this.deactivateExpired(now)
    const found: Array<Lease> = []
    for (let at = this.queueStart; at < this.queue.length && found.length < limit; at += 1) {
      const one = this.queue[at]
      if (one !== undefined && this.byId.get(one.lease.id) === one) found.push(one.lease)
      // Recorded leases are removed in this order, so they come first.
      else if (found.length === 0) this.queueStart = at + 1
    }
    // The queue may never be empty, so its recorded half is dropped from time to time.
    if (this.queueStart > 0 && 2 * this.queueStart >= this.queue.length) {
      this.queue = this.queue.slice(this.queueStart)
      this.queueStart = 0
    }
    return found
  }

  /** Counts the leases whose expiry is not recorded yet. */
  expiredCount(now: number): number {
    this.deactivateExpired(now)
    return this.unrecorded
  }

  count(now: number): number {
    this.deactivateExpired(now)
    return this.activeCount
  }

  countOfSecret(secretName: string, now: number): number {
    this.deactivateExpired(now)
    return this.bySecret.get(secretName)?.size ?? 0
  }

  /** The earliest time at which a lease may expire; undefined if there is none. */
  get nextExpiry(): number | undefined {
    return this.heap[0]?.expiresAt.millis
  }

  /** Removes expired leases from the active ones, at most `limit`, so that the next access has less to do. */
  deactivateExpired(now: number, limit = Number.POSITIVE_INFINITY): void {
    let left = limit
    for (let first = this.heap[0]; first !== undefined && isExpired(first, now); first = this.heap[0]) {
      if (left === 0) return
      left -= 1
      pop(this.heap)
      if (this.byId.get(first.id) !== first) continue
      const expired = new Expired(first)
      this.byId.set(first.id, expired)
      this.queue.push(expired)
      this.unrecorded += 1
      this.activeWeight -= leaseWeight(first)
      this.unindex(first)
    }
  }

  private get activeCount(): number {
    return this.byId.size - this.unrecorded
  }

  private allActive(): Array<Lease> {
    const active: Array<Lease> = []
    for (const known of this.byId.values()) if (!(known instanceof Expired)) active.push(known)
    return active
  }

  private unindex(lease: Lease): void {
    const ofSecret = this.bySecret.get(lease.secretName)
    ofSecret?.remove(lease)
    if (ofSecret?.size === 0) this.bySecret.delete(lease.secretName)
  }
}

/** Nearly every pair has one lease, and an array for each would use much memory. */
type OneOrMore = Lease | ReadonlyArray<Lease>

const toArray = (held: OneOrMore | undefined): ReadonlyArray<Lease> => {
  if (held === undefined) return []
  return "id" in held ? [held] : held
}

class LeasesOfSecret {
  size = 0
  private readonly byClient = new Map<string, OneOrMore>()

  insert(lease: Lease): void {
    this.size += 1
    const held = this.byClient.get(lease.clientId)
    this.byClient.set(lease.clientId, held === undefined ? lease : [...toArray(held), lease])
  }

  remove(lease: Lease): void {
    const held = toArray(this.byClient.get(lease.clientId))
    const left = held.filter((one) => one.id !== lease.id)
    this.size -= held.length - left.length
    const [first] = left
    if (first === undefined) this.byClient.delete(lease.clientId)
    else this.byClient.set(lease.clientId, left.length === 1 ? first : left)
  }

  ofClient(clientId: string): ReadonlyArray<Lease> {
    return toArray(this.byClient.get(clientId))
  }

  all(): ReadonlyArray<Lease> {
    return [...this.byClient.values()].flatMap(toArray)
  }
}

/** Adds to a binary heap; the lease that expires first is on top. */
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
