/**
 * The gate of a lease that a person has to approve: open with an approval, closed with an error
 * that names the request.
 *
 * It is asked inside the transaction of the lease, so the request is recorded with the refusal.
 * What it changed is taken back if the audit log cannot be written.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { requestOpenFact } from "../../domain/daemonFacts.ts"
import type { Caller } from "../../domain/Caller.ts"
import type { GoDuration } from "../../domain/GoDuration.ts"
import type { Approval, OpenRequest } from "../../domain/OpenRequest.ts"
import type { LeaseTransaction } from "../leases/LeaseTransaction.ts"
import { announceOpened, leaseQuestion, type RecordedUse } from "./requests.ts"
import type { RequestTable } from "./RequestTable.ts"

export class ApprovalGate {
  private undo = (): void => undefined
  private opened: OpenRequest | undefined
  private readonly table: RequestTable
  private readonly caller: Caller

  constructor(table: RequestTable, caller: Caller) {
    this.table = table
    this.caller = caller
  }

  /** Decides about a lease; returns why not, as the client and the audit log get it. */
  pass(tx: LeaseTransaction, use: RecordedUse, ttl: GoDuration, approval: Approval) {
    const admitted = this.table.admit(leaseQuestion(use, ttl, approval, this.caller))
    if (Result.isSuccess(admitted)) {
      this.undo = admitted.success.undo
      return Result.succeed(undefined)
    }
    const { error, opened, undo } = admitted.failure
    this.undo = undo
    this.opened = opened
    if (opened !== undefined) tx.record(requestOpenFact(opened))
    return Result.fail({ error, details: error.message })
  }

  /** Follows the failure of the lease: the request that it opened is passed on if it is recorded, else taken back. */
  readonly afterFailure = ({ _tag }: { readonly _tag: string }) =>
    Effect.suspend(() => {
      if (_tag === "AuditLogError") return Effect.sync(this.undo)
      return this.opened === undefined ? Effect.void : announceOpened(this.opened)
    })
}
