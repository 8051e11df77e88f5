/**
 * The programs that run with values, by what they were given, and the notices for each.
 *
 * In memory only: a run lives as long as its program, and who started that takes it up again
 * after a restart. Notices wait until they were read. Nothing here is asynchronous.
 */
import type * as Effect from "effect/Effect"
import type { RunFacts } from "../../domain/leaseFacts.ts"
import type { LeaseName } from "../../domain/Lease.ts"
import type { Notice, NoticeKind, PlacedNotice } from "../../domain/Run.ts"

/** What carries requests for a run, and is cut before the run ends. */
export interface RunCarrier {
  /** Takes a notice as soon as its entry is on the disk, before any reply. */
  readonly notified: (notice: PlacedNotice) => void
  readonly end: (because: string) => Effect.Effect<void>
}

/** The connection of the one who started the program; the run ends some time after it. */
export interface RunConnection {
  /** Completes when it is closed. */
  readonly closed: Effect.Effect<void>
}

export interface Run extends RunFacts {
  /** The lease of each secret whose value the program has; a program that is started again has others. */
  leases: ReadonlyMap<string, string>
  /** The process id, as its starter says. */
  pid: number | undefined
  /** When it began, RFC 3339; for one that was taken up, when that was. */
  begunAt: string
  /** The number of its first audit entry. */
  begunSeq: number
  connection: RunConnection
  /** Undefined for a run whose program has the values itself. */
  carrier: RunCarrier | undefined
  /** The last notice, and when it was. */
  told: { readonly kind: NoticeKind; readonly at: string } | undefined
  /** Notices that were not read yet. */
  unread: ReadonlyArray<PlacedNotice>
  /** Notices of the last reply. They are read when the next request comes. */
  sent: ReadonlyArray<PlacedNotice>
  /** Wakes those who wait for a notice. */
  wake: ReadonlyArray<() => void>
}

/** More memory than this is not used for runs: a run counts for one, its leases and long texts for more. */
export const maxRunWeight = 100_000

const weightOf = ({ clientId, leases, origin: { program = "" } }: RunFacts): number => {
  const names = [...leases.keys()].reduce((sum, name) => sum + name.length, 0)
  return 1 + leases.size + Math.floor((clientId.length + program.length + names) / 512)
}

export class RunTable {
  private readonly runs = new Map<string, Run>()
  /** The runs by secret, then by client. */
  private readonly bySecret = new Map<string, Map<string, ReadonlyArray<Run>>>()
  /** Runs whose first audit entry is not written yet. */
  private readonly beginning = new Map<string, Run>()
  private weight = 0

  get size(): number {
    return this.runs.size
  }

  /** Returns the runs, the oldest first. */
  all(): IterableIterator<Run> {
    return this.runs.values()
  }

  find(id: string): Run | undefined {
    return this.runs.get(id)
  }

  /** Returns the runs of a pair of secret and client, or of the secret. */
  ofSecret(secretName: string, clientId?: string): ReadonlyArray<Run> {
    const clients = this.bySecret.get(secretName)
    if (clients === undefined) return []
    return clientId === undefined ? [...clients.values()].flat() : (clients.get(clientId) ?? [])
  }

  /** Takes a run that begins with the audit entry that is written next; false if there are too many. */
  prepare(run: Run): boolean {
    if (this.weight + weightOf(run) > maxRunWeight) return false
    this.weight += weightOf(run)
    this.beginning.set(run.id, run)
    return true
  }

  /** Begins a run: from here on it gets notices. */
  begin(id: string, seq: number, at: string): void {
    const run = this.beginning.get(id)
    if (run === undefined) return
    this.beginning.delete(id)
    run.begunSeq = seq
    run.begunAt = at
    this.runs.set(id, run)
    for (const name of run.leases.keys()) {
      const clients = this.bySecret.get(name) ?? new Map<string, ReadonlyArray<Run>>()
      this.bySecret.set(name, clients)
      clients.set(run.clientId, [...(clients.get(run.clientId) ?? []), run])
    }
  }

  /** Removes a run, also one that did not begin; who waits for a notice of it waits no more. */
  remove(run: Run): void {
    if (!this.beginning.delete(run.id) && !this.runs.delete(run.id)) return
    this.weight -= weightOf(run)
    for (const name of run.leases.keys()) {
      const clients = this.bySecret.get(name)
      const others = (clients?.get(run.clientId) ?? []).filter((other) => other !== run)
      if (others.length > 0) clients?.set(run.clientId, others)
      else clients?.delete(run.clientId)
      if (clients?.size === 0) this.bySecret.delete(name)
    }
    wakeWaiting(run)
  }

  /** Returns the leases of all runs, whether they are over or not. */
  *leases(): Generator<LeaseName> {
    for (const { clientId, leases } of this.runs.values()) {
      for (const [secretName, id] of leases) yield { id, clientId, secretName }
    }
  }

  /** Returns the runs that a notice is for. */
  reached({ clientId, secretName }: Notice): ReadonlyArray<Run> {
    return secretName === undefined
      ? [...this.runs.values()].filter((run) => clientId === undefined || run.clientId === clientId)
      : this.ofSecret(secretName, clientId)
  }

  /** Adds a notice to each run that it is for, and returns those runs. */
  notify(notice: PlacedNotice): ReadonlyArray<Run> {
    const runs = this.reached(notice)
    for (const run of runs) addNotice(run, notice)
    return runs
  }
}

/** Adds what happened before a run was taken up. */
export const addEarlier = (run: Run, notices: ReadonlyArray<PlacedNotice>): void => {
  const later = run.unread
  run.unread = []
  for (const notice of notices) {
    const { clientId = run.clientId, secretName } = notice
    if (clientId === run.clientId && (secretName === undefined || run.leases.has(secretName))) addNotice(run, notice)
  }
  for (const notice of later) addNotice(run, notice)
}

/** Adds a notice. A revoke of all leases of a client is one of each secret. */
const addNotice = (run: Run, notice: PlacedNotice): void => {
  const each =
    notice.kind === "revoked" && notice.secretName === undefined
      ? [...run.leases.keys()].map((secretName) => ({ ...notice, secretName }))
      : [notice]
  const added = each.filter((one) => isNew(run, one))
  run.carrier?.notified(notice)
  if (added.length > 0) run.unread = [...run.unread, ...added]
  run.told = { kind: notice.kind, at: notice.at }
}

/** Returns whether no notice waits that says the same, so that few wait of a run that reads none. */
const isNew = (run: Run, { kind, secretName }: Notice): boolean =>
  !run.unread.some((waiting) => waiting.kind === kind && waiting.secretName === secretName)

/** Wakes those who wait for a notice of a run. */
export const wakeWaiting = (run: Run): void => {
  const { wake } = run
  run.wake = []
  for (const one of wake) one()
}

/**
 * Makes room for the next reply. What the last one held was read if the request comes on the same connection, and else up to
 * the entry that the client names.
 */
export const acknowledge = (run: Run, after: number, isSameConnection: boolean): void => {
  const again = isSameConnection ? [] : run.sent.filter(({ seq }) => seq > after)
  run.sent = []
  if (again.length > 0) run.unread = [...again, ...run.unread]
}

/** Returns the notices that wait, for a reply. */
export const takeUnread = (run: Run): ReadonlyArray<PlacedNotice> => {
  run.sent = run.unread
  run.unread = []
  return run.sent
}
