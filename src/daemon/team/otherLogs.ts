/**
 * Reads the audit logs of the other machines in the database, from where it read last.
 *
 * A change of a secret is recorded before it is committed. So its notice waits for the next
 * call, and is dropped if an entry says that the change failed.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { type ChainedEntry, decodeChainedEntry } from "../../domain/AuditChain.ts"
import { Exposure, exposureActions } from "../../domain/Exposure.ts"
import { noticeIn, sharedActions } from "../../domain/Run.ts"
import { isChangeFailed } from "../../domain/storeFacts.ts"
import { TeamAway } from "../../domain/Team.ts"
import { parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import type { OtherLogs, OtherNotice } from "../audit/OtherLogs.ts"

/** Entries of one machine, up to the number `read`; its last one is `end`. */
const Page = Schema.Struct({
  name: Schema.String,
  read: Schema.Number,
  end: Schema.Number,
  lines: Schema.Array(Schema.String)
})
/** Undefined from a database whose functions are older: they answer such a question with nothing. */
const Pages = Schema.UndefinedOr(Schema.Array(Page))
const Bases = Schema.Array(Schema.Struct({ name: Schema.String, base_seq: Schema.Number }))

/** How many entries of each machine the database searches for one answer, so that none takes long. */
export const pageSize = 5000

/** Less than a command waits. */
const longestRead = Duration.seconds(2)

const tooOld = new TeamAway({
  reason: "the functions of the team's database are older than this program: secrets team migrate"
})

interface OtherLogsOptions {
  readonly name: string
  readonly interval: Duration.Duration
  /** Reads a list. A failure says nothing about the place of this machine. */
  readonly read: <A>(what: string, schema: Schema.Codec<A, unknown>, more?: object) => Effect.Effect<A, TeamAway>
  /** The number of the last entry here before the start; undefined until that is known. */
  readonly since: () => number | undefined
}

export const makeOtherLogs = ({ interval, name: own, read, since }: OtherLogsOptions): OtherLogs => {
  /** Passes the new entries of each machine to `take`, in pages, and returns whether it came to the end; `places` has how far each was read. */
  const readNew = Effect.fnUntraced(function* (
    places: Map<string, number>,
    input: { readonly actions: ReadonlyArray<string>; readonly since?: number | undefined },
    take: (machine: string, entry: ChainedEntry) => void,
    limit = Duration.infinity
  ) {
    const begun = yield* Clock.currentTimeMillis
    for (let isMore = true; isMore;) {
      if ((yield* Clock.currentTimeMillis) - begun > Duration.toMillis(limit)) return false
      const pages = yield* read("others", Pages, { ...input, after: Object.fromEntries(places) })
      if (pages === undefined) return yield* tooOld
      for (const { lines, name, read: place } of pages) {
        for (const line of lines) Option.map(decodeChainedEntry(line), (entry) => take(name, entry))
        places.set(name, place)
      }
      isMore = pages.some(({ end, read: place }) => place < end)
    }
    return true
  })

  const noticed = new Map<string, number>()
  let isFirst = true
  /** What was read and not returned yet: a call may fail between two pages. */
  let [notices, changes, failed]: [Array<OtherNotice>, Array<OtherNotice>, Set<string | undefined>] = [
    [],
    [],
    new Set()
  ]
  /** The changes of the call before. */
  let committed: ReadonlyArray<OtherNotice> = []
  const nextNotices = Effect.gen(function* () {
    if (since() === undefined) return []
    yield* readNew(noticed, { actions: sharedActions, since: since() }, (machine, entry) => {
      if (isChangeFailed(entry)) failed.add(entry.secret_name)
      const notice = noticeIn(entry)
      // At a start this machine records itself which of its own leases are over.
      if (notice === undefined || (isFirst && notice.kind === "expired")) return
      const placed = { ...notice, machine, seq: entry.seq, isEarlier: isFirst }
      if (notice.kind === "changed" || notice.kind === "deleted") changes.push(placed)
      else notices.push(placed)
    })
    const due = committed.filter(({ secretName }) => secretName === undefined || !failed.has(secretName))
    const all = [...due, ...notices]
    committed = changes
    ;[notices, changes, failed] = [[], [], new Set()]
    isFirst = false
    return all
  })

  const counted = new Map<string, number>()
  const machines = new Map<string, Exposure>()
  const exposures = Effect.gen(function* () {
    const count = (machine: string, entry: ChainedEntry) => {
      const exposure = machines.get(machine) ?? new Exposure()
      machines.set(machine, exposure)
      exposure.add(
        entry,
        Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp),
        entry.seq
      )
    }
    const isComplete = yield* readNew(counted, { actions: exposureActions }, count, longestRead)
    const joined = (yield* read("heads", Bases)).find(({ name }) => name === own)?.base_seq ?? 0
    return { machines, joined, isComplete }
  }).pipe(Semaphore.withPermit(Semaphore.makeUnsafe(1)))

  return { interval, nextNotices, exposures }
}
