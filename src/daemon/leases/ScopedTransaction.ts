/**
 * A transaction that holds its program to its scope: a look outside of it is a defect, and so
 * is the end of a lease that was not looked at.
 */
import * as Data from "effect/Data"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import { covers, type LeaseScope } from "./LeaseScope.ts"
import type { LeaseTable } from "./LeaseTable.ts"
import { LeaseTransaction } from "./LeaseTransaction.ts"

/** A program looks at leases, or changes leases, that its scope does not include. */
export class OutOfScope extends Data.TaggedError("OutOfScope")<{ readonly scope: LeaseScope; readonly look: string }> {
  override get message() {
    return `a transaction with the scope ${this.scope._tag} looks at ${this.look}`
  }
}

export class ScopedTransaction extends LeaseTransaction {
  private readonly scope: LeaseScope
  private readonly seen = new Set<string>()

  constructor(table: LeaseTable, now: number, scope: LeaseScope) {
    super(table, now)
    this.scope = scope
  }

  override ofPair(secretName: string, clientId: string) {
    this.check({ _tag: "Pair", secretName, clientId })
    return this.note(super.ofPair(secretName, clientId))
  }

  override ofSecret(secretName: string) {
    this.check({ _tag: "Secret", secretName })
    return this.note(super.ofSecret(secretName))
  }

  override withPrefix(prefix: string) {
    this.check({ _tag: "Prefix", prefix })
    return this.note(super.withPrefix(prefix))
  }

  override active() {
    this.check({ _tag: "Everything" })
    return super.active()
  }

  override find(id: string) {
    this.check({ _tag: "Leases", ids: [id] })
    const found = super.find(id)
    this.note(found === undefined ? [] : [found])
    return found
  }

  override findRevoked(id: string) {
    this.check({ _tag: "Leases", ids: [id] })
    return super.findRevoked(id)
  }

  override expired(limit: number) {
    this.check({ _tag: "Due", most: limit })
    return this.note(super.expired(limit))
  }

  override issue(lease: Lease, ...facts: ReadonlyArray<AuditFact>) {
    this.check({ _tag: "Pair", secretName: lease.secretName, clientId: lease.clientId })
    super.issue(lease, ...facts)
  }

  override end(lease: Lease, ...facts: ReadonlyArray<AuditFact>) {
    this.checkSeen(lease)
    super.end(lease, ...facts)
  }

  override revoke(lease: Lease, ...facts: ReadonlyArray<AuditFact>) {
    this.checkSeen(lease)
    super.revoke(lease, ...facts)
  }

  override revokeActive() {
    this.check({ _tag: "All" })
    return super.revokeActive()
  }

  protected check(look: LeaseScope): void {
    if (!covers(this.scope, look)) throw new OutOfScope({ scope: this.scope, look: look._tag })
  }

  private note(found: ReadonlyArray<Lease>): ReadonlyArray<Lease> {
    for (const { id } of found) this.seen.add(id)
    return found
  }

  private checkSeen({ id }: Lease): void {
    if (this.scope._tag === "Everything" || this.seen.has(id)) return
    throw new OutOfScope({ scope: this.scope, look: "a lease without having found it" })
  }
}
