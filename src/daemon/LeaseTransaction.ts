/**
 * What one transaction sees of the leases and does to them.
 *
 * A program runs over the table at one moment. If it fails, its changes are taken
 * back at once; if its audit entries cannot be written, whoever ran it calls `undo`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AuditFact } from "../domain/AuditEntry.ts"
import type { Lease } from "../domain/Lease.ts"
import type { LeaseTable } from "./LeaseTable.ts"

export interface LeaseTransaction {
  /** The moment: milliseconds, wall clock. */
  readonly now: number
  readonly ofPair: (secretName: string, clientId: string) => ReadonlyArray<Lease>
  readonly ofSecret: (secretName: string) => ReadonlyArray<Lease>
  readonly active: () => ReadonlyArray<Lease>
  /** What the active leases count for together (`weight` in `Lease`). */
  readonly weight: () => number
  /** A lease by its id, also one that has expired and is not swept yet. */
  readonly find: (id: string) => Lease | undefined
  /** One of the last leases that were revoked. */
  readonly findRevoked: (id: string) => Lease | undefined
  /** Leases that have expired and are not swept yet, at most so many. */
  readonly due: (most: number) => ReadonlyArray<Lease>
  /** Adds a lease; the facts that tell of it are recorded if the program succeeds. */
  readonly issue: (lease: Lease, ...facts: ReadonlyArray<AuditFact>) => void
  /** Takes a lease away; the facts that tell of it are recorded if the program succeeds. */
  readonly end: (lease: Lease, ...facts: ReadonlyArray<AuditFact>) => void
  /** The same, on purpose: the lease is remembered for a while as revoked. */
  readonly revoke: (lease: Lease, ...facts: ReadonlyArray<AuditFact>) => void
  /** Records a fact, also if the program fails: refusals are facts. */
  readonly record: (...facts: ReadonlyArray<AuditFact>) => void
}

/** What came of a program, before anything of it is durable. */
export interface Outcome<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly facts: ReadonlyArray<AuditFact>
  /** Leases that end on purpose. */
  readonly revoked: number
  readonly undo: () => void
}

export const run = Effect.fnUntraced(function* <A, E>(
  table: LeaseTable,
  now: number,
  program: (leases: LeaseTransaction) => Effect.Effect<A, E>
): Effect.fn.Return<Outcome<A, E>> {
  const facts: Array<{ readonly fact: AuditFact; readonly ofChange: boolean }> = []
  const undos: Array<() => void> = []
  let revoked = 0
  const undo = () => {
    for (const back of undos.splice(0).toReversed()) back()
  }
  const tell = (more: ReadonlyArray<AuditFact>, ofChange: boolean) => {
    for (const fact of more) facts.push({ fact, ofChange })
  }
  const leases: LeaseTransaction = {
    now,
    ofPair: (secretName, clientId) => table.ofPair(secretName, clientId, now),
    ofSecret: (secretName) => table.ofSecret(secretName, now),
    active: () => table.active(now),
    weight: () => table.weight,
    find: (id) => table.find(id),
    findRevoked: (id) => table.findRevoked(id),
    due: (most) => table.due(now, most),
    issue: (lease, ...more) => {
      table.insert(lease)
      undos.push(() => table.remove(lease))
      tell(more, true)
    },
    end: (lease, ...more) => {
      if (table.remove(lease)) undos.push(() => table.insert(lease))
      tell(more, true)
    },
    revoke: (lease, ...more) => {
      if (table.revoke(lease)) {
        undos.push(() => table.insert(lease))
        revoked += 1
      }
      tell(more, true)
    },
    record: (...more) => tell(more, false)
  }
  const exit = yield* Effect.exit(Effect.suspend(() => program(leases)))
  const failed = Exit.isFailure(exit)
  if (failed) undo()
  return {
    exit,
    undo,
    revoked: failed ? 0 : revoked,
    facts: facts.filter((one) => !(failed && one.ofChange)).map((one) => one.fact)
  }
})
