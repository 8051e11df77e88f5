/**
 * What one transaction sees of the leases and does to them.
 *
 * A program runs over the table at one moment, so it waits for nothing. If it fails,
 * its changes are taken back at once; if its audit entries cannot be written, whoever
 * ran it calls `undo`.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import type { LeaseTable } from "./LeaseTable.ts"

/** What came of a program, before anything of it is durable. */
export interface TransactionOutcome<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly facts: ReadonlyArray<AuditFact>
  /** Leases that end on purpose. */
  readonly revoked: number
  readonly undo: () => void
}

export class LeaseTransaction {
  /** The moment: milliseconds, wall clock. */
  readonly now: number
  private readonly table: LeaseTable
  private readonly undos: Array<() => void> = []
  /** What is recorded if the program succeeds, and what of it is recorded if it fails. */
  private readonly facts: Array<AuditFact> = []
  private readonly factsAnyway: Array<AuditFact> = []
  private revoked = 0

  constructor(table: LeaseTable, now: number) {
    this.table = table
    this.now = now
  }

  ofPair(secretName: string, clientId: string): ReadonlyArray<Lease> {
    return this.table.ofPair(secretName, clientId, this.now)
  }

  ofSecret(secretName: string): ReadonlyArray<Lease> {
    return this.table.ofSecret(secretName, this.now)
  }

  active(): ReadonlyArray<Lease> {
    return this.table.active(this.now)
  }

  /** What the active leases count for together (`weight` in `Lease`). */
  weight(): number {
    return this.table.weight
  }

  /** A lease by its id, also one that has expired and is not swept yet. */
  find(id: string): Lease | undefined {
    return this.table.find(id)
  }

  /** One of the last leases that were revoked. */
  findRevoked(id: string): Lease | undefined {
    return this.table.findRevoked(id)
  }

  /** Leases that have expired and are not swept yet, at most so many. */
  expired(most: number): ReadonlyArray<Lease> {
    return this.table.expired(this.now, most)
  }

  /** Adds a lease; the facts that tell of it are recorded if the program succeeds. */
  issue(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    this.table.insert(lease)
    this.undos.push(() => this.table.remove(lease))
    this.facts.push(...facts)
  }

  /** Takes a lease away; the facts that tell of it are recorded if the program succeeds. */
  end(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    if (this.table.remove(lease)) this.undos.push(() => this.table.insert(lease))
    this.facts.push(...facts)
  }

  /** The same, on purpose: the lease is remembered for a while as revoked. */
  revoke(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    if (this.table.revoke(lease)) {
      this.undos.push(() => this.table.insert(lease))
      this.revoked += 1
    }
    this.facts.push(...facts)
  }

  /** Records a fact, also if the program fails: refusals are facts. */
  record(...facts: ReadonlyArray<AuditFact>): void {
    this.facts.push(...facts)
    this.factsAnyway.push(...facts)
  }

  /** Runs the program this transaction is for. One that throws has failed as well. */
  run<A, E>(program: (leases: LeaseTransaction) => Result.Result<A, E>): TransactionOutcome<A, E> {
    const exit = exitOf(() => program(this))
    const undo = () => {
      for (const back of this.undos.splice(0).toReversed()) back()
    }
    if (Exit.isSuccess(exit)) return { exit, undo, facts: this.facts, revoked: this.revoked }
    undo()
    return { exit, undo, facts: this.factsAnyway, revoked: 0 }
  }
}

const exitOf = <A, E>(run: () => Result.Result<A, E>): Exit.Exit<A, E> => {
  try {
    return Result.match(run(), { onSuccess: Exit.succeed, onFailure: Exit.fail })
  } catch (defect) {
    return Exit.die(defect)
  }
}
