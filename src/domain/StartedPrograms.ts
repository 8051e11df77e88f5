/**
 * Programs that were given values and whose end is not recorded: a fold of the audit log beside `Exposure`.
 *
 * A program ends with its run, or when its lease is given back. One that was never registered, or whose starter is gone,
 * stays here: nothing tells whether it has ended. It holds names and ids, never values.
 */
import type { AuditFact } from "./AuditEntry.ts"
import { connectionLost, leaseIdsOf, returnedMark } from "./leaseFacts.ts"
import type { AuditAction } from "./auditActions.ts"

/** A lease whose value a program was given. */
export interface StartedProgram {
  readonly leaseId: string
  readonly secret: string
  readonly client: string
  readonly via: string
  readonly program: string
  /** The number of the entry of the lease. */
  readonly seq: number
  /** Empty without a run. */
  readonly run: string
}

type ProgramFact = Pick<
  AuditFact,
  "action" | "success" | "secret_name" | "client_id" | "lease_id" | "via" | "program" | "details" | "run_id"
>

export const maxStarted = 10_000

/** The actions of entries that matter here. */
export const programActions: ReadonlySet<string> = new Set<AuditAction>([
  "lease_acquire",
  "lease_revoke",
  "run_begin",
  "run_end"
])

/** Returns whether a program was started with the value, whose end can be recorded. */
const isProgramWay = (via: string | undefined): boolean => via === "exec" || via === "mcp"

export class StartedPrograms {
  private readonly byLease = new Map<string, StartedProgram>()
  private readonly byRun = new Map<string, Set<string>>()
  private readonly limit: number
  /** How many were left out because there are too many. */
  forgotten = 0

  constructor(limit = maxStarted) {
    this.limit = limit
  }

  /** Adds the next entry. */
  add(fact: ProgramFact, seq: number): void {
    if (fact.action === "lease_acquire" && !isProgramWay(fact.via)) return
    const { client_id: client = "", lease_id: leaseId = "", program = "", run_id: run = "", success } = fact
    switch (fact.action) {
      case "lease_acquire": {
        const { secret_name: secret = "", via = "" } = fact
        if (success) this.restore({ leaseId, secret, client, via, program, seq, run })
        return
      }
      case "run_begin":
        for (const id of success ? leaseIdsOf(fact) : []) this.assign(id, run)
        return
      case "run_end":
        // Only its starter has gone.
        if (fact.details?.startsWith(connectionLost()) === true) return
        for (const id of this.byRun.get(run) ?? []) this.remove(id)
        return
      case "lease_revoke":
        if (run !== "" || fact.details?.startsWith(returnedMark) === true) this.remove(leaseId)
    }
  }

  /** Adds one as it was saved. */
  restore(started: StartedProgram): void {
    this.remove(started.leaseId)
    this.byLease.set(started.leaseId, started)
    if (started.run !== "") this.byRun.set(started.run, (this.byRun.get(started.run) ?? new Set()).add(started.leaseId))
    const [oldest] = this.byLease.size > this.limit ? this.byLease.keys() : []
    if (oldest === undefined) return
    this.remove(oldest)
    this.forgotten += 1
  }

  all(): IterableIterator<StartedProgram> {
    return this.byLease.values()
  }

  find(leaseId: string): StartedProgram | undefined {
    return this.byLease.get(leaseId)
  }

  /** Returns a copy that later entries do not change. */
  copy(): StartedPrograms {
    const copied = new StartedPrograms(this.limit)
    for (const started of this.byLease.values()) copied.restore(started)
    copied.forgotten = this.forgotten
    return copied
  }

  private assign(leaseId: string, run: string): void {
    const known = this.byLease.get(leaseId)
    if (known !== undefined) this.restore({ ...known, run })
  }

  private remove(leaseId: string): void {
    const known = this.byLease.get(leaseId)
    if (known === undefined) return
    this.byLease.delete(leaseId)
    const ofRun = this.byRun.get(known.run)
    ofRun?.delete(leaseId)
    if (ofRun?.size === 0) this.byRun.delete(known.run)
  }
}
