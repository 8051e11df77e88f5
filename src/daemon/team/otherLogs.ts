/**
 * Reads the audit logs of the other machines in the database, from where it read last.
 *
 * A change of a secret is recorded before it is committed. So its notice waits for the next
 * call, and is dropped if an entry says that the change failed.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeChainedEntry } from "../../domain/AuditChain.ts"
import { noticeIn, sharedActions } from "../../domain/Run.ts"
import { isChangeFailed } from "../../domain/storeFacts.ts"
import type { TeamAway } from "../../domain/Team.ts"
import type { OtherLogs, OtherNotice } from "../audit/OtherLogs.ts"

/** The entries of one machine that may hold a notice; `head` is the number of its last entry. */
const MachineNews = Schema.Struct({ name: Schema.String, head: Schema.Number, lines: Schema.Array(Schema.String) })
/** Null from a database whose functions are older. */
const News = Schema.NullOr(Schema.Array(MachineNews))

/** How many entries of a machine one answer has at most. */
export const newsLimit = 1000

export const makeOtherLogs = (options: {
  readonly interval: Duration.Duration
  readonly read: (what: string, schema: typeof News, more: object) => Effect.Effect<typeof News.Type, TeamAway>
  /** The number of the last entry here before the start; undefined until that is known. */
  readonly since: () => number | undefined
}): OtherLogs => {
  /** The number of the last entry that was read, for each machine. */
  const read = new Map<string, number>()
  let isFirst = true
  let isOld = false
  let changes: ReadonlyArray<OtherNotice> = []

  const nextNotices = Effect.gen(function* () {
    const since = options.since()
    if (since === undefined) return []
    const notices: Array<OtherNotice> = []
    const failed = new Set<string | undefined>()
    const held: Array<OtherNotice> = []
    for (let isMore = true; isMore;) {
      const news = yield* options.read("notices", News, {
        since,
        after: Object.fromEntries(read),
        actions: sharedActions
      })
      if (news === null && !isOld) {
        yield* Effect.logWarning(
          "what other machines revoke does not reach the programs here: the functions of the team's database are older than this program: secrets team migrate"
        )
      }
      isOld = news === null
      isMore = false
      for (const { head, lines, name } of news ?? []) {
        const entries = lines.flatMap((line) => Option.getOrUndefined(decodeChainedEntry(line)) ?? [])
        for (const entry of entries) {
          if (isChangeFailed(entry)) failed.add(entry.secret_name)
          const notice = noticeIn(entry)
          // At a start this machine records itself which of its own leases are over.
          if (notice === undefined || (isFirst && notice.kind === "expired")) continue
          const placed = { ...notice, machine: name, seq: entry.seq, isEarlier: isFirst }
          if (notice.kind === "changed" || notice.kind === "deleted") held.push(placed)
          else notices.push(placed)
        }
        isMore ||= lines.length === newsLimit
        read.set(name, lines.length === newsLimit ? (entries.at(-1)?.seq ?? head) : head)
      }
    }
    const due = changes.filter(({ secretName }) => secretName === undefined || !failed.has(secretName))
    changes = held
    isFirst = false
    return [...due, ...notices]
  })
  return { interval: options.interval, nextNotices }
}
