/**
 * The leases of a team: the same transactions over rows that are in the database.
 *
 * A batch is looked up, run over a table of its rows, and put back with its entries in one
 * statement, which changes nothing if a row is no longer what the programs saw. A client comes
 * back to its own machine, so the rows are guessed first from what this machine issued; a
 * refusal is never guessed. No lock is held while something is on the wire.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { sha256 } from "../../domain/AuditChain.ts"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { expireFact } from "../../domain/leaseFacts.ts"
import { factsOf } from "../../domain/Caller.ts"
import { isExpired, type Lease, oldestOf } from "../../domain/Lease.ts"
import { TeamAway } from "../../domain/Team.ts"
import { fromNanos } from "../../domain/Timestamp.ts"
import * as metrics from "../../otel/metrics.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditLogError } from "../audit/AuditLogError.ts"
import type { CommitChange } from "../audit/AuditCommit.ts"
import { startBatchWriter } from "../leases/batchWriter.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import type { LeaseScope } from "../leases/LeaseScope.ts"
import { LeaseTable } from "../leases/LeaseTable.ts"
import type { LeaseTransaction, TransactionOutcome } from "../leases/LeaseTransaction.ts"
import { ScopedTransaction } from "../leases/ScopedTransaction.ts"
import { escapeText, unescapeText } from "./escapeText.ts"
import { maxTries, Team } from "./Team.ts"
import { LeaseRecord, type LookRequest } from "./teamRows.ts"

/** Own leases that are remembered for guesses. */
const maxGuesses = 100_000

/** The try that is over guesses. */
const guessing = -1

/**
 * A killswitch records how many leases it ends, as the look counted them. After this many tries, and of more leases than
 * this, the number may be off by those that begin or expire meanwhile: to end them comes first.
 */
const exactTries = 2
const maxExact = 10_000

interface Pending {
  readonly scope: LeaseScope
  readonly run: (rows: BatchRows) => Ran
  readonly refuse: (error: AuditLogError) => void
}

interface Ran {
  readonly isRefused: boolean
  readonly facts: ReadonlyArray<AuditFact>
  readonly revoked: number
  readonly reply: (written: Exit.Exit<unknown, AuditLogError>) => void
}

/** The rows that a batch runs over. */
interface BatchRows {
  readonly table: LeaseTable
  readonly leases: ReadonlyArray<Lease>
  readonly now: number
  /** About how many leases are active in the team. */
  readonly active: number
}

/** Ends all leases at once, by their number: they are not brought here. */
class TeamTransaction extends ScopedTransaction {
  private readonly rows: BatchRows

  constructor(rows: BatchRows, scope: LeaseScope) {
    super(rows.table, rows.now, scope)
    this.rows = rows
  }

  override weight() {
    return this.rows.active + this.rows.table.weight - this.rows.leases.length
  }

  override revokeActive() {
    this.check({ _tag: "All" })
    return this.rows.active
  }
}

const isExclusive = ({ _tag }: LeaseScope): boolean => _tag === "All" || _tag === "Everything"

/** Returns the key of a pair here; the database has the hash of it. */
const pairKey = (secretName: string, clientId: string): string => `${secretName}\0${clientId}`
const pairHash = (secretName: string, clientId: string): string => sha256(pairKey(secretName, clientId))

const micros = ({ text, millis }: Lease["createdAt"]): number => {
  const fraction = /\.([0-9]+)/.exec(text)?.[1] ?? ""
  return Math.floor(millis / 1000) * 1_000_000 + Number(fraction.padEnd(6, "0").slice(0, 6))
}
const timestamp = (value: number) => fromNanos(BigInt(value) * 1000n)

const leaseOf = ({ client, created, expires, id, secret }: LeaseRecord): Lease => ({
  id,
  secretName: unescapeText(secret),
  clientId: unescapeText(client),
  createdAt: timestamp(created),
  expiresAt: timestamp(expires)
})

const isUuid = (id: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)

const requestOf = (scopes: ReadonlyArray<LeaseScope>): LookRequest => {
  const only = <Tag extends LeaseScope["_tag"]>(tag: Tag) =>
    scopes.filter((scope): scope is Extract<LeaseScope, { readonly _tag: Tag }> => scope._tag === tag)
  return {
    pairs: only("Pair").map(({ clientId, secretName }) => pairHash(secretName, clientId)),
    ids: [...only("Leases").flatMap(({ ids }) => ids), ...only("Prefix").map(({ prefix }) => prefix)].filter(isUuid),
    prefixes: only("Prefix").map(({ prefix }) => prefix),
    secrets: only("Secret").map(({ secretName }) => escapeText(secretName)),
    due: Math.max(0, ...only("Due").map(({ most }) => most)),
    all: only("Everything").length > 0,
    count: only("All").length + only("Due").length > 0
  }
}

/** Returns what the programs changed, as the database takes it, and the leases that were over when their pair was taken. */
const differenceOf = ({ leases, now, table }: BatchRows) => {
  const seen = new Set(leases.map(({ id }) => id))
  const issued = table.active(now).filter(({ id }) => !seen.has(id))
  const taken = new Set(issued.map(({ clientId, secretName }) => pairKey(secretName, clientId)))
  const over = leases.filter(
    (lease) =>
      isExpired(lease, now) &&
      table.find(lease.id) !== undefined &&
      taken.has(pairKey(lease.secretName, lease.clientId))
  )
  const gone = leases.filter(({ id }) => table.find(id) === undefined)
  const ended = [...over, ...gone]
  return { issued, over, ended, revoked: gone.filter(({ id }) => table.findRevoked(id) !== undefined) }
}

const recordOf = (lease: Lease) => ({
  id: lease.id,
  pair: pairHash(lease.secretName, lease.clientId),
  secret: escapeText(lease.secretName),
  client: escapeText(lease.clientId),
  created: micros(lease.createdAt),
  expires: micros(lease.expiresAt)
})

const idsOf = (leases: ReadonlyArray<Lease>) => leases.map(({ id }) => id)

/** Makes the table that a batch runs over. */
const tableOf = (leases: ReadonlyArray<Lease>, revoked: ReadonlyArray<Lease>) => {
  const table = new LeaseTable()
  for (const lease of revoked) {
    table.insert(lease)
    table.revoke(lease)
  }
  for (const lease of leases) table.insert(lease)
  return table
}

const make = Effect.gen(function* () {
  const team = yield* Team
  const audit = yield* AuditLog
  /** The leases of pairs that this machine issued and did not end. */
  const guesses = new Map<string, Lease>()
  let active = 0
  // No start recovers these leases from the log.
  yield* audit.release(Number.MAX_SAFE_INTEGER)

  const look = Effect.fnUntraced(function* (batch: ReadonlyArray<Pending>) {
    const looked = yield* team.look(requestOf(batch.map(({ scope }) => scope)))
    active = looked.active ?? active
    const leases = looked.leases.map(leaseOf)
    return { leases, table: tableOf(leases, looked.revoked.map(leaseOf)), now: looked.now, active }
  })

  /** Returns the rows as this machine remembers them; undefined if the batch looks at more than pairs. */
  const guess = (batch: ReadonlyArray<Pending>, now: number) => {
    if (team.revision() === 0) return undefined
    const found = new Map<string, Lease>()
    for (const { scope } of batch) {
      if (scope._tag !== "Pair") return undefined
      const lease = guesses.get(pairKey(scope.secretName, scope.clientId))
      if (lease !== undefined) found.set(lease.id, lease)
    }
    const leases = [...found.values()]
    return { leases, table: tableOf(leases, []), now, active }
  }

  const remember = (issued: ReadonlyArray<Lease>, ended: ReadonlyArray<Lease>) => {
    for (const lease of ended) {
      const key = pairKey(lease.secretName, lease.clientId)
      if (guesses.get(key)?.id === lease.id) guesses.delete(key)
    }
    if (guesses.size > maxGuesses) guesses.clear()
    for (const lease of issued) guesses.set(pairKey(lease.secretName, lease.clientId), lease)
    active += issued.length - ended.length
  }

  /** Runs a batch over rows, and commits it; undefined if the rows were no longer those of the database. The first try may be over guesses. */
  const attempt = Effect.fnUntraced(function* (batch: ReadonlyArray<Pending>, rows: BatchRows, tries: number) {
    const ran = batch.map(({ run }) => run(rows))
    if (tries === guessing && ran.some(({ isRefused }) => isRefused)) return undefined
    const { ended, issued, over, revoked } = differenceOf(rows)
    const facts = [...over.map(expireFact), ...ran.flatMap((one) => one.facts)]
    const all = batch.some(({ scope }) => scope._tag === "All")
    const change: CommitChange = {
      revision: team.revision(),
      now: rows.now,
      exclusive: batch.some(({ scope }) => isExclusive(scope)),
      ...(all ? { count: rows.active, exact: tries < exactTries && rows.active < maxExact } : {}),
      ended: idsOf(ended),
      revoked: idsOf(revoked),
      issued: issued.map(recordOf)
    }
    const isEmpty = facts.length === 0 && ended.length + issued.length === 0
    const written: Exit.Exit<unknown, AuditLogError> = isEmpty
      ? Exit.void
      : yield* Effect.exit(audit.append(facts, change))
    if (Exit.isFailure(written) && isStale(written)) return undefined
    if (Exit.isSuccess(written)) {
      if (all) guesses.clear()
      remember(issued, ended)
      yield* metrics.countRevocations(ran.reduce((sum, one) => sum + one.revoked, 0))
    }
    for (const { reply } of ran) reply(written)
    return written
  })

  const commitOne = Effect.fnUntraced(function* (batch: ReadonlyArray<Pending>) {
    const guessed = guess(batch, yield* team.now)
    if (guessed !== undefined && (yield* attempt(batch, guessed, guessing)) !== undefined) return
    for (let tries = 0; tries < maxTries; tries += 1) {
      const rows = yield* look(batch)
      if ((yield* attempt(batch, rows, tries)) !== undefined) return
    }
    return yield* new TeamAway({ reason: "other machines change the same leases at the same time" })
  })

  const commit = Effect.fnUntraced(function* (batch: ReadonlyArray<Pending>) {
    for (const group of groups(batch)) yield* commitOne(group).pipe(Effect.catch(refuse(group)))
  })

  const writer = yield* startBatchWriter(commit)
  yield* Effect.addFinalizer(() => writer.stop)

  const transaction = <A, E>(scope: LeaseScope, program: (leases: LeaseTransaction) => Result.Result<A, E>) =>
    writer.enqueue<A, E | AuditLogError>((reply, caller) => ({
      scope,
      run: (rows) => {
        const outcome: TransactionOutcome<A, E> = new TeamTransaction(rows, scope).run(program)
        return {
          isRefused: Exit.isFailure(outcome.exit),
          facts: factsOf(caller, outcome.facts),
          revoked: outcome.revoked,
          reply: (written) => reply(Exit.isFailure(written) ? Exit.failCause(written.cause) : outcome.exit)
        }
      },
      refuse: (error) => reply(Exit.fail(error))
    }))

  return { team, transaction }
})

/** Returns whether another machine was first. */
const isStale = (written: Exit.Exit<unknown, AuditLogError>): boolean =>
  Exit.isFailure(written) &&
  written.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error.cause._tag === "TeamChanged")

const refuse = (group: ReadonlyArray<Pending>) => (cause: TeamAway) =>
  Effect.sync(() => {
    for (const pending of group) pending.refuse(new AuditLogError({ operation: "append", cause }))
  })

/** Splits a batch: what concerns all leases runs alone. */
const groups = (batch: ReadonlyArray<Pending>): ReadonlyArray<ReadonlyArray<Pending>> => {
  const all: Array<Array<Pending>> = []
  for (const pending of batch) {
    const last = all.at(-1)
    const isAlone = isExclusive(pending.scope) || last?.some(({ scope }) => isExclusive(scope)) === true
    if (last === undefined || isAlone) all.push([pending])
    else last.push(pending)
  }
  return all
}

const Counts = Schema.Record(Schema.String, Schema.Number)
/** Reads every active lease of the team. */
export const leaseRows = Effect.flatMap(Team, (team) => team.read("leases", Schema.Array(LeaseRecord)))

/** With more leases than this, the database would have to send them all for the oldest one. */
const mostRead = 50_000

/** How long counts are used again: a list of secrets asks for that of each. */
const countsAge = 1000

export const teamLeasesLayer = Layer.effect(
  LeaseRepo,
  Effect.gen(function* () {
    const { team, transaction } = yield* make
    let counts: Readonly<Record<string, number>> = {}
    let countedAt = Number.NEGATIVE_INFINITY
    const count = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (now - countedAt > countsAge) {
        // While the database is away, the last numbers are shown.
        counts = yield* Effect.orElseSucceed(team.read("counts", Counts), () => counts)
        countedAt = now
      }
      return counts
    })
    const active = leaseRows.pipe(
      Effect.provideService(Team, team),
      Effect.map((rows) => rows.map(leaseOf)),
      Effect.mapError((cause) => new AuditLogError({ operation: "read", cause }))
    )
    const activeCount = Effect.map(count, (all) => Object.values(all).reduce((sum, one) => sum + one, 0))
    return LeaseRepo.of({
      transaction,
      isLate: team.isLate,
      active,
      activeCount,
      oldest: Effect.flatMap(activeCount, (most) =>
        most > mostRead ? Effect.undefined : Effect.map(active, oldestOf)
      ),
      expiredCount: Effect.succeed(0),
      unreadableCount: 0,
      deactivateExpired: () => Effect.succeed(undefined),
      activeCountOfSecret: (name) => Effect.map(count, (all) => all[escapeText(name)] ?? 0)
    })
  })
)
