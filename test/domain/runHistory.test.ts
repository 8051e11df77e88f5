/**
 * Unclean starts, and crash loops: three unclean starts within a minute, reported once.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as RunHistory from "../../src/domain/runHistory.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

const day = 24 * 60 * 60_000
const epoch = 1_800_000_000_000

/** Returns the history of starts at these times, each after a kill. */
const killedAndStartedAt = (...moments: ReadonlyArray<number>) =>
  moments.reduce(
    (history, at, n) => RunHistory.beginRun(history, n + 2, fromMillis(epoch + at), false),
    RunHistory.beginRun(RunHistory.noRuns, 1, fromMillis(epoch - 1), false)
  )

const isTold = (history: RunHistory.RunHistory, at: number) =>
  RunHistory.unreportedCrashLoop(history, epoch + at) !== undefined

describe("a start", () => {
  it("is clean without a run before it, or after a clean shutdown", () => {
    const first = RunHistory.beginRun(RunHistory.noRuns, 1, fromMillis(epoch), false)
    const ended = RunHistory.endRun(first, fromMillis(epoch + 1), "SIGTERM")
    const second = RunHistory.beginRun(ended, 2, fromMillis(epoch + 2), false)
    for (const history of [first, second]) assert.strictEqual(RunHistory.uncleanStarts(history, epoch + 3), undefined)
  })

  it("is unclean after a run that was killed, that failed or that left files behind", () => {
    const first = RunHistory.beginRun(RunHistory.noRuns, 1, fromMillis(epoch), false)
    const failed = RunHistory.endRun(first, fromMillis(epoch), "the store cannot be read", "failed")
    const reasonAfter = (history: RunHistory.RunHistory, crash = false) =>
      RunHistory.uncleanStarts(RunHistory.beginRun(history, 2, fromMillis(epoch + 1), crash), epoch + 1)?.last_reason ??
      ""
    assert.match(reasonAfter(first), /^process 1, started .*, was killed or crashed$/)
    assert.match(reasonAfter(failed), /^process 1, started .*, ended by a fault: the store cannot be read$/)
    assert.match(reasonAfter(RunHistory.noRuns, true), /did not stop in order/)
  })

  it("that was refused is no unclean end, and counts a crash before it once", () => {
    const refusedAt = (history: RunHistory.RunHistory, at: number, crash: boolean) =>
      RunHistory.endRun(
        RunHistory.beginRun(history, at, fromMillis(epoch + at), crash),
        fromMillis(epoch + at),
        "the socket path is too long",
        "refused"
      )
    const fine = RunHistory.endRun(killedAndStartedAt(), fromMillis(epoch), "SIGTERM")
    const refused = [1, 2, 3, 4].reduce((history, at) => refusedAt(history, at, false), fine)
    assert.isUndefined(
      RunHistory.uncleanStarts(RunHistory.beginRun(refused, 9, fromMillis(epoch + 5), false), epoch + 5)
    )
    // The run that was killed has left daemon.json, and no refused start removes it.
    const killed = [1, 2, 3, 4].reduce((history, at) => refusedAt(history, at, true), killedAndStartedAt())
    const served = RunHistory.beginRun(killed, 9, fromMillis(epoch + 5), true)
    assert.deepInclude(RunHistory.uncleanStarts(served, epoch + 5), { count: 1, crash_loop: false })
    const next = RunHistory.beginRun(served, 10, fromMillis(epoch + 6), true)
    assert.strictEqual(RunHistory.uncleanStarts(next, epoch + 6)?.count, 2)
  })

  it("is counted for a day, and the last twenty are kept", () => {
    const history = killedAndStartedAt(0, 1)
    assert.strictEqual(RunHistory.uncleanStarts(history, epoch + day)?.count, 2)
    assert.strictEqual(RunHistory.uncleanStarts(history, epoch + day + 1)?.count, 1)
    assert.strictEqual(RunHistory.uncleanStarts(history, epoch + day + 2), undefined)
    const many = killedAndStartedAt(...Array.from({ length: 30 }, (_, n) => n * 100_000))
    assert.strictEqual(RunHistory.uncleanStarts(many, epoch + 3_000_000)?.count, 20)
  })
})

describe("a crash loop", () => {
  it("is three unclean starts within a minute, to the millisecond", () => {
    for (const [third, loops] of [
      [60_000, true],
      [60_001, false]
    ] as const) {
      const history = killedAndStartedAt(0, 30_000, third)
      assert.strictEqual(isTold(history, third), loops)
      assert.strictEqual(RunHistory.uncleanStarts(history, epoch + third)?.crash_loop, loops)
    }
    assert.isFalse(isTold(killedAndStartedAt(0, 1), 1))
  })

  it("is reported once while it continues, and again after it had ended", () => {
    const history = RunHistory.markCrashLoopReported(killedAndStartedAt(0, 1, 2))
    const next = (before: RunHistory.RunHistory, at: number) =>
      RunHistory.beginRun(before, 9, fromMillis(epoch + at), false)
    const goesOn = next(next(history, 3), 59_000)
    assert.isFalse(isTold(goesOn, 59_000))
    const calm = next(goesOn, 200_000)
    assert.isFalse(isTold(calm, 200_000))
    assert.isTrue(isTold(next(next(calm, 200_001), 200_002), 200_002))
  })

  it("is reported at the next start if it was not reported before", () => {
    const history = killedAndStartedAt(0, 1, 2, 3)
    assert.lengthOf(RunHistory.unreportedCrashLoop(history, epoch + 3) ?? [], 4)
  })
})

describe("the history of runs", () => {
  it("survives encoding and decoding, and no other text is decoded", () => {
    const history = RunHistory.markCrashLoopReported(
      RunHistory.endRun(killedAndStartedAt(0, 1), fromMillis(epoch), "SIGTERM")
    )
    assert.deepStrictEqual(RunHistory.decodeRunHistory(RunHistory.encodeRunHistory(history)), Option.some(history))
    for (const text of [
      "",
      "null",
      "[]",
      "{}",
      '{"unclean_starts":[{}]}',
      RunHistory.encodeRunHistory(history).slice(0, -9)
    ]) {
      assert.isTrue(Option.isNone(RunHistory.decodeRunHistory(text)), text)
    }
  })

  it("promises a return under a supervisor, and for half a minute after an end", () => {
    const begin = (supervised: boolean) => RunHistory.beginRun(RunHistory.noRuns, 7, fromMillis(0), false, supervised)
    const end = (history: RunHistory.RunHistory) => RunHistory.endRun(history, fromMillis(epoch), "SIGTERM")
    const recent = 30_000
    for (const [history, lastWrite, now, expected] of [
      [RunHistory.noRuns, epoch, epoch, false],
      [begin(false), epoch, epoch + recent - 1, true],
      [begin(false), epoch, epoch + recent, false],
      [end(begin(false)), epoch + recent, epoch + recent - 1, true],
      [end(begin(false)), epoch + recent, epoch + recent, false],
      [end(begin(true)), epoch, epoch + 10 * recent, true]
    ] as const) {
      assert.strictEqual(RunHistory.promisesReturn(history, lastWrite, now), expected)
    }
    assert.strictEqual(begin(true).last?.supervised, true)
  })

  it("describes how the last run ended", () => {
    const begun = RunHistory.beginRun(RunHistory.noRuns, 7, fromMillis(epoch), false)
    const wordsOf = (history: RunHistory.RunHistory) => RunHistory.lastRunInWords(history) ?? ""
    assert.strictEqual(wordsOf(RunHistory.noRuns), "")
    assert.match(wordsOf(begun), /process 7, started 2027-.*, did not end in order/)
    assert.match(
      wordsOf(RunHistory.endRun(begun, fromMillis(epoch), "SIGTERM")),
      /^not running since 2027-.*, last exit: SIGTERM$/
    )
    assert.match(
      wordsOf(RunHistory.endRun(begun, fromMillis(epoch), "no space", "failed")),
      /last exit: a fault: no space$/
    )
    assert.match(
      wordsOf(RunHistory.endRun(begun, fromMillis(epoch), "the path is too long", "refused")),
      /last exit: it did not start: the path is too long$/
    )
  })
})
