/**
 * The view of the lease table that one transaction reads and changes.
 *
 * A program runs synchronously, at one point in time. If it fails, its changes are
 * undone at once. If its audit entries cannot be written, the caller calls `undo`.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import type { LeaseTable } from "./LeaseTable.ts"

/** The result of a program, before any of it is durable. */
export interface TransactionOutcome<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly facts: ReadonlyArray<AuditFact>
  /** The number of leases that were revoked. */
  readonly revoked: number
  readonly undo: () => void
}

export class LeaseTransaction {
  /** The time of the transaction: milliseconds of the wall clock. */
  readonly now: number
  private readonly table: LeaseTable
  private readonly undos: Array<() => void> = []
  private readonly facts: Array<AuditFact> = []
  /** The facts that are recorded even if the program fails. */
  private readonly factsOnFailure: Array<AuditFact> = []
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

  /** Returns the active leases whose ids begin like this. */
  withPrefix(prefix: string): ReadonlyArray<Lease> {
    return this.table.active(this.now).filter(({ id }) => id.startsWith(prefix))
  }

  active(): ReadonlyArray<Lease> {
    return this.table.active(this.now)
  }

  /** Returns the total weight of the active leases (`leaseWeight`). */
  weight(): number {
    return this.table.weight
  }

  /** Finds a lease by its id, even if it has expired and is not swept yet. */
  find(id: string): Lease | undefined {
    return this.table.find(id)
  }

  /** Finds a recently revoked lease by its id. */
  findRevoked(id: string): Lease | undefined {
    return this.table.findRevoked(id)
  }

  /** Returns at most `limit` leases that have expired and are not swept yet. */
  expired(limit: number): ReadonlyArray<Lease> {
    return this.table.expired(this.now, limit)
  }

  /** Adds a lease; its facts are recorded if the program succeeds. */
  issue(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    this.table.insert(lease)
    this.undos.push(() => this.table.remove(lease))
    this.facts.push(...facts)
  }

  /** Removes a lease; its facts are recorded if the program succeeds. */
  end(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    if (this.table.remove(lease)) this.undos.push(() => this.table.insert(lease))
    this.facts.push(...facts)
  }

  /** Removes a lease and keeps it for a while as revoked. */
  revoke(lease: Lease, ...facts: ReadonlyArray<AuditFact>): void {
    this.revokeInTable(lease)
    this.facts.push(...facts)
  }

  /** Revokes every active lease, and returns their number. */
  revokeActive(): number {
    const active = this.table.active(this.now)
    for (const lease of active) this.revokeInTable(lease)
    return active.length
  }

  private revokeInTable(lease: Lease): void {
    if (!this.table.revoke(lease)) return
    this.undos.push(() => this.table.insert(lease))
    this.revoked += 1
  }

  /** Records facts even if the program fails: a refusal is a fact. */
  record(...facts: ReadonlyArray<AuditFact>): void {
    this.facts.push(...facts)
    this.factsOnFailure.push(...facts)
  }

  /** Runs the program of this transaction. A thrown defect is a failure too. */
  run<A, E>(program: (leases: LeaseTransaction) => Result.Result<A, E>): TransactionOutcome<A, E> {
    const exit = exitOf(() => program(this))
    const undo = () => {
      for (const undoOne of this.undos.splice(0).toReversed()) undoOne()
    }
    if (Exit.isSuccess(exit)) return { exit, undo, facts: this.facts, revoked: this.revoked }
    undo()
    return { exit, undo, facts: this.factsOnFailure, revoked: 0 }
  }
}

const exitOf = <A, E>(run: () => Result.Result<A, E>): Exit.Exit<A, E> => {
  try {
    return Result.match(run(), { onSuccess: Exit.succeed, onFailure: Exit.fail })
  } catch (defect) {
    return Exit.die(defect)
  }
}
