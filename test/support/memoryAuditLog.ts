/**
 * The audit log in memory: in order and readable, but not chained and on no disk.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AuditLog, type AuditObserver, observeWith } from "../../src/daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../src/daemon/audit/CurrentCaller.ts"
import { sha256 } from "../../src/domain/AuditChain.ts"
import { decodeEntry, encodeEntry } from "../../src/domain/AuditEntry.ts"
import { factsOf } from "../../src/domain/Caller.ts"
import { fromMillis, zeroTimestamp } from "../../src/domain/Timestamp.ts"

export const memoryAuditLog = Layer.sync(AuditLog, () => {
  const lines: Array<string> = []
  const observers = new Set<AuditObserver>()
  const lineAt = (seq: number) => sha256(lines[seq - 1] ?? "")
  const position = Effect.sync(() => ({
    seq: lines.length,
    line: lineAt(lines.length),
    at: zeroTimestamp.text,
    generation: 0
  }))
  const read = (from: number) => lines.slice(from).flatMap((line) => Option.toArray(decodeEntry(line)))
  return AuditLog.of({
    append: (facts) =>
      Effect.flatMap(Effect.all([Clock.currentTimeMillis, CurrentCaller]), ([now, caller]) => {
        const [first, at, named] = [lines.length + 1, fromMillis(now), factsOf(caller, facts)]
        for (const fact of named) lines.push(encodeEntry(fact, at))
        for (const { written } of observers) written(named, first, at)
        return position
      }),
    readForwards: (visit) => Effect.sync(() => lines.forEach((line) => visit(line.trimEnd()))),
    nextFile: Effect.never,
    storeAtStart: undefined,
    tail: (count) => Effect.sync(() => (count > 0 ? read(-count) : [])),
    readBackwards: (visit) => Effect.sync(() => void lines.toReversed().every((line) => visit(line.trimEnd()))),
    since: ({ line, seq }) =>
      Effect.sync(() => (seq <= lines.length && lineAt(seq) === line ? Option.some(read(seq)) : Option.none())),
    position,
    predecessor: undefined,
    isTrusted: () => true,
    report: () => Effect.void,
    verify: () => Effect.die("a log in memory cannot be verified"),
    forget: () => Effect.void,
    reportAdoption: () => Effect.void,
    lockedSince: undefined,
    lastEntryTime: undefined,
    diagnostics: Effect.sync(() => ({
      seq: lines.length,
      size: 0,
      archives: 0,
      failure: undefined,
      findings: [],
      adopted: []
    })),
    nextFailure: Effect.never,
    recordStore: (hash) => Effect.sync(() => observers.forEach(({ stored }) => stored(hash))),
    observe: (observer) => Effect.andThen(observeWith(observers, observer), position),
    release: () => Effect.void,
    isDisturbed: Effect.succeed(false),
    reopen: Effect.void,
    others: undefined
  })
})
