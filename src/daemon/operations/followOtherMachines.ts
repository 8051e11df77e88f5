/**
 * Notifies the programs here of what other machines of the team recorded: a lease that is revoked
 * there ends here, and a value that is changed there changes here. After a killswitch no approval
 * holds here either.
 *
 * Each notice that concerns a program becomes an entry of this log, from which it goes the same way
 * as every other one. Those of the time before the start all become one: their programs come back later.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { teamNoticeFact } from "../../domain/leaseFacts.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { OtherNotice } from "../audit/OtherLogs.ts"
import { Runs } from "../runs/Runs.ts"
import { forgetApprovals } from "./requests.ts"

/** How often the logs are read while programs run with values here. */
const intervalWithRuns = Duration.seconds(1)

export const followOtherMachines = Effect.gen(function* () {
  const audit = yield* AuditLog
  const { table } = yield* Runs
  const { others } = audit
  if (others === undefined) return yield* Effect.never
  let waiting: ReadonlyArray<OtherNotice> = []
  const follow = Effect.gen(function* () {
    const read = yield* others.nextNotices
    if (read.some(({ kind }) => kind === "killswitch")) yield* forgetApprovals
    waiting = [...waiting, ...read.filter((notice) => notice.isEarlier || table.reached(notice).length > 0)]
    if (waiting.length === 0) return
    yield* audit.append(waiting.map((notice) => teamNoticeFact(notice.kind, notice)))
    waiting = []
  })
  let isBehind = false
  const warn = ({ message }: { readonly message: string }) =>
    Effect.suspend(() => {
      if (isBehind) return Effect.void
      isBehind = true
      return Effect.logWarning(`what other machines revoke does not reach the programs here: ${message}`)
    })
  const interval = () => (table.size === 0 ? others.interval : Duration.min(others.interval, intervalWithRuns))
  return yield* Effect.tap(follow, () => Effect.sync(() => void (isBehind = false))).pipe(
    Effect.catch(warn),
    Effect.andThen(Effect.suspend(() => Effect.sleep(interval()))),
    Effect.forever
  )
})
