/**
 * What becomes of a program when one of its secrets is revoked, changes or expires, on virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { TestClock } from "effect/testing"
import type { Rules } from "../../../../../src/cli/commands/project/run/reactions.ts"
import type { Input, News, ProgramOutcome, Report } from "../../../../../src/cli/commands/project/run/programStates.ts"
import { supervise } from "../../../../../src/cli/commands/project/run/superviseProgram.ts"

const term = { kind: "stop", signal: "SIGTERM" } as const
const usual: Rules = {
  onRevoke: term,
  onChange: { kind: "restart" },
  onExpiry: { kind: "ignore" },
  killSignal: "SIGTERM",
  killTimeout: 10_000,
  splay: 0,
  requireDaemon: undefined
}

const revoked: News = { because: "revoked", secretName: "db" }
const changed: News = { because: "changed", secretName: "db" }

/** A program that ends by the signals of `endsBy`; what it has started outside of its group ends `left` polls later. */
const makeProgram = Effect.fnUntraced(function* (endsBy: ReadonlyArray<NodeJS.Signals>, left = 0) {
  const exit = yield* Deferred.make<void>()
  const got: Array<NodeJS.Signals> = []
  const listeners: Array<(name: NodeJS.Signals) => void> = []
  let polls = left
  const end = () => Deferred.doneUnsafe(exit, Effect.void)
  const signal = (name: NodeJS.Signals) => {
    got.push(name)
    if (name === "SIGKILL" || endsBy.includes(name)) end()
  }
  const stop = (name: NodeJS.Signals) => {
    if (name === "SIGKILL") polls = 0
    signal(name)
  }
  return {
    got,
    end,
    program: {
      exited: Deferred.await(exit),
      processes: { signal, stop, isLeft: () => polls-- > 0 },
      onSignal: (listener: (name: NodeJS.Signals) => void) => void listeners.push(listener)
    },
    /** A signal from outside. */
    send: (name: NodeJS.Signals) => {
      for (const listener of listeners) listener(name)
      signal(name)
    }
  }
})

/** Lets all fibers run until they wait. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 4 })

const pass = (time: Duration.Input) => Effect.andThen(TestClock.adjust(time), settle)

interface Setup {
  readonly rules?: Partial<Rules>
  readonly endsBy?: ReadonlyArray<NodeJS.Signals>
  /** Polls until what it has started is gone. */
  readonly left?: number
  readonly lease?: Effect.Effect<string, string>
  readonly command?: Effect.Effect<boolean>
  readonly reportsAtEnd?: boolean
  readonly restarts?: Array<number>
}

const begin = Effect.fnUntraced(function* ({
  command = Effect.succeed(true),
  endsBy = ["SIGTERM"],
  lease = Effect.succeed("new"),
  left,
  reportsAtEnd = false,
  restarts = [],
  rules = {}
}: Setup = {}) {
  const fake = yield* makeProgram(endsBy, left)
  const inputs = yield* Queue.unbounded<Input<string>>()
  const reports: Array<string> = []
  let [leases, commands] = [0, 0]
  const fiber = yield* supervise(fake.program, {
    rules: { ...usual, ...rules },
    inputs,
    leaseAgain: Effect.andThen(
      Effect.sync(() => (leases += 1)),
      lease
    ),
    runCommand: () =>
      Effect.andThen(
        Effect.sync(() => (commands += 1)),
        command
      ),
    report: ({ done, news, signal }: Report, isOver: boolean) =>
      Effect.sync(
        () => void reports.push([news.because, done, signal, isOver && "at the end"].filter(Boolean).join(" "))
      ),
    reportsAtEnd,
    restarts
  }).pipe(Effect.scoped, Effect.forkChild)
  yield* settle
  const happens = (...all: ReadonlyArray<News>) =>
    Effect.andThen(
      Queue.offerAll(
        inputs,
        all.map((news) => ({ kind: "news", news }))
      ),
      settle
    )
  const outcome = (): ProgramOutcome<string> | undefined => {
    const exit = fiber.pollUnsafe()
    return exit !== undefined && exit._tag === "Success" ? exit.value : undefined
  }
  const isOver = () => outcome() !== undefined
  return { ...fake, happens, inputs, isOver, outcome, reports, counts: () => ({ leases, commands }) }
})

describe("a program whose secret is revoked", () => {
  for (const because of ["revoked", "killswitch", "deleted", "locked", "daemon lost"] as const) {
    it.effect(`is stopped at once, and the reason is reported (${because})`, () =>
      Effect.gen(function* () {
        const { got, happens, outcome, reports } = yield* begin()
        yield* happens({ because })
        assert.deepStrictEqual(got, ["SIGTERM"])
        assert.deepStrictEqual([outcome()?.because, outcome()?.again], [because, undefined])
        assert.deepStrictEqual(reports, [`${because} stop SIGTERM`])
      })
    )
  }

  it.effect("is killed when it ignores that until the timeout", () =>
    Effect.gen(function* () {
      const { got, happens, isOver } = yield* begin({ endsBy: [] })
      yield* happens(revoked)
      yield* pass("9999 millis")
      assert.deepStrictEqual(got, ["SIGTERM"])
      yield* pass("1 millis")
      assert.deepStrictEqual(got, ["SIGTERM", "SIGKILL"])
      assert.isTrue(isOver())
    })
  )

  it.effect("gets the kill signal, SIGKILL at once, or never", () =>
    Effect.gen(function* () {
      const int = yield* begin({ rules: { onRevoke: { kind: "stop", signal: "SIGINT" } }, endsBy: ["SIGINT"] })
      yield* int.happens(revoked)
      assert.deepStrictEqual(int.got, ["SIGINT"])
      const zero = yield* begin({ rules: { killTimeout: 0 } })
      yield* zero.happens(revoked)
      assert.deepStrictEqual(zero.got, ["SIGKILL"])
      const never = yield* begin({ rules: { killTimeout: Infinity }, endsBy: [] })
      yield* never.happens(revoked)
      yield* pass("30 days")
      assert.deepStrictEqual([never.got, never.isOver()], [["SIGTERM"], false])
    })
  )

  it.effect("is over when its process group is, which is killed after the timeout too", () =>
    Effect.gen(function* () {
      const soon = yield* begin({ left: 3 })
      yield* soon.happens(revoked)
      assert.isFalse(soon.isOver())
      yield* pass("60 millis")
      assert.deepStrictEqual([soon.got, soon.isOver()], [["SIGTERM"], true])
      const stays = yield* begin({ left: Infinity })
      yield* stays.happens(revoked)
      yield* pass("10020 millis")
      assert.deepStrictEqual([stays.got, stays.isOver()], [["SIGTERM", "SIGKILL"], true])
    })
  )

  it.effect("only gets a signal, runs a command, or is left alone, if that is wished", () =>
    Effect.gen(function* () {
      const hup = yield* begin({ rules: { onRevoke: { kind: "signal", signal: "SIGHUP" } } })
      yield* hup.happens(revoked)
      assert.deepStrictEqual([hup.got, hup.reports, hup.isOver()], [["SIGHUP"], ["revoked signal SIGHUP"], false])
      const run = yield* begin({ rules: { onRevoke: { kind: "command", command: "true" } } })
      yield* run.happens(revoked)
      assert.deepStrictEqual([run.counts().commands, run.got, run.isOver()], [1, [], false])
      const none = yield* begin({ rules: { onRevoke: { kind: "ignore" } } })
      yield* none.happens(revoked, { because: "killswitch" })
      assert.deepStrictEqual([none.got, none.reports, none.isOver()], [[], [], false])
    })
  )

  it.effect("is stopped when that command fails", () =>
    Effect.gen(function* () {
      const { got, happens, outcome, reports } = yield* begin({
        rules: { onRevoke: { kind: "command", command: "false" } },
        command: Effect.succeed(false)
      })
      yield* happens(revoked)
      assert.deepStrictEqual([got, outcome()?.because], [["SIGTERM"], "revoked"])
      assert.deepStrictEqual(reports, ["revoked command", "revoked command failed SIGTERM"])
    })
  )

  it.effect("is reported once, and after its end where it may use the whole terminal", () =>
    Effect.gen(function* () {
      const { end, happens, reports } = yield* begin({ reportsAtEnd: true, endsBy: [] })
      yield* happens(revoked, { because: "killswitch" }, revoked)
      assert.deepStrictEqual(reports, [])
      end()
      yield* settle
      assert.deepStrictEqual(reports, ["revoked stop SIGTERM at the end"])
    })
  )

  it.effect("has no reason if it ended by itself before", () =>
    Effect.gen(function* () {
      const { end, got, happens, outcome, reports } = yield* begin()
      end()
      yield* happens(revoked)
      assert.deepStrictEqual([got, reports, outcome()?.because], [[], [], undefined])
    })
  )
})

describe("a program whose secret changes", () => {
  it.effect("is restarted after a second, in which further changes are the same one", () =>
    Effect.gen(function* () {
      const { counts, got, happens, outcome } = yield* begin()
      yield* happens(changed)
      yield* pass("900 millis")
      yield* happens(changed, { because: "changed", secretName: "other" })
      yield* pass("99 millis")
      assert.deepStrictEqual([counts().leases, got], [0, []])
      yield* pass("1 millis")
      assert.deepStrictEqual([counts().leases, got], [1, ["SIGTERM"]])
      assert.deepStrictEqual([outcome()?.again, outcome()?.later], ["new", undefined])
    })
  )

  it.effect("waits up to the splay longer, but not for a revoke", () =>
    Effect.gen(function* () {
      const { got, happens, outcome } = yield* begin({ rules: { splay: 3_600_000 } })
      yield* happens(changed)
      yield* pass("1 seconds")
      assert.deepStrictEqual(got, [])
      yield* happens(revoked)
      assert.deepStrictEqual([got, outcome()?.because, outcome()?.again], [["SIGTERM"], "revoked", undefined])
      const late = yield* begin({ rules: { splay: 3_600_000 } })
      yield* late.happens(changed)
      yield* pass("3601 seconds")
      assert.strictEqual(late.outcome()?.again, "new")
    })
  )

  it.effect("is not started again before the old one and its group are gone", () =>
    Effect.gen(function* () {
      const { got, happens, isOver, outcome } = yield* begin({ endsBy: [], left: 1 })
      yield* happens(changed)
      yield* pass("10999 millis")
      assert.deepStrictEqual([got, isOver()], [["SIGTERM"], false])
      yield* pass("21 millis")
      assert.deepStrictEqual([got, outcome()?.again], [["SIGTERM", "SIGKILL"], "new"])
    })
  )

  it.effect("runs on with the old value if the new one is not leased", () =>
    Effect.gen(function* () {
      const { got, happens, isOver, reports } = yield* begin({ lease: Effect.fail("the store is locked") })
      yield* happens(changed)
      yield* pass("1 seconds")
      assert.deepStrictEqual([got, isOver(), reports], [[], false, ["changed keep"]])
      yield* happens(revoked)
      assert.deepStrictEqual(got, ["SIGTERM"])
    })
  )

  it.effect("is not started again if it is revoked, or ended from outside, while it stops or leases", () =>
    Effect.gen(function* () {
      const stopping = yield* begin({ endsBy: [] })
      yield* stopping.happens(changed)
      yield* pass("1 seconds")
      yield* stopping.happens(revoked)
      stopping.end()
      yield* settle
      assert.deepStrictEqual([stopping.outcome()?.because, stopping.outcome()?.again], ["revoked", undefined])
      assert.deepStrictEqual(stopping.reports, ["changed restart SIGTERM", "revoked stop SIGTERM"])

      const leasing = yield* begin({ lease: Effect.never })
      yield* leasing.happens(changed)
      yield* pass("1 seconds")
      yield* leasing.happens(revoked)
      assert.deepStrictEqual([leasing.got, leasing.outcome()?.again], [["SIGTERM"], undefined])

      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
        const ended = yield* begin({ endsBy: [] })
        yield* ended.happens(changed)
        yield* pass("1 seconds")
        ended.send(signal)
        ended.end()
        yield* settle
        assert.isUndefined(ended.outcome()?.again, signal)
      }
      const before = yield* begin({ endsBy: [] })
      before.send("SIGTERM")
      yield* before.happens(changed)
      yield* pass("1 hour")
      assert.deepStrictEqual([before.got, before.isOver()], [["SIGTERM"], false])
    })
  )

  it.effect("is killed at once by a harder reaction while it stops", () =>
    Effect.gen(function* () {
      const { got, happens } = yield* begin({ endsBy: [], rules: { onRevoke: { kind: "stop", signal: "SIGKILL" } } })
      yield* happens(changed)
      yield* pass("1 seconds")
      yield* happens(revoked)
      assert.deepStrictEqual(got, ["SIGTERM", "SIGKILL"])
    })
  )

  it.effect("keeps a change that comes after its lease, and news that come after its end, for the next program", () =>
    Effect.gen(function* () {
      const { end, happens, inputs, outcome } = yield* begin({ endsBy: [] })
      yield* happens(changed)
      yield* pass("1 seconds")
      yield* happens({ because: "changed", secretName: "other" })
      end()
      yield* Queue.offer(inputs, { kind: "news", news: { because: "expired" } })
      yield* settle
      assert.strictEqual(outcome()?.again, "new")
      const left = yield* Queue.clear(inputs)
      assert.sameDeepMembers(
        left.map((input) => (input.kind === "news" ? input.news : input.kind)),
        [{ because: "changed", secretName: "other" }]
      )
    })
  )

  it.effect("is given up after five restarts within a minute", () =>
    Effect.gen(function* () {
      yield* pass("10 minutes")
      const now = 600_000
      for (const [restarts, givesUp] of [
        [[now - 58_000, now - 4, now - 3, now - 2, now - 1], true],
        [[now - 61_000, now - 4, now - 3, now - 2, now - 1], false]
      ] as const) {
        const { happens, outcome, reports } = yield* begin({ restarts: [...restarts] })
        yield* happens(changed)
        yield* pass("1 seconds")
        assert.deepStrictEqual([outcome()?.hasGivenUp, outcome()?.again], givesUp ? [true, undefined] : [false, "new"])
        assert.strictEqual(reports[0], givesUp ? "changed give up" : "changed restart SIGTERM")
        yield* TestClock.setTime(now)
      }
    })
  )

  it.effect("gets one signal for the changes of a second, or is stopped, or left alone", () =>
    Effect.gen(function* () {
      const hup = yield* begin({ rules: { onChange: { kind: "signal", signal: "SIGHUP" }, splay: 99_000 } })
      yield* hup.happens(changed, changed)
      yield* pass("1 seconds")
      yield* hup.happens(changed)
      yield* pass("1 seconds")
      assert.deepStrictEqual([hup.got, hup.isOver()], [["SIGHUP", "SIGHUP"], false])
      const stop = yield* begin({ rules: { onChange: term } })
      yield* stop.happens(changed)
      assert.deepStrictEqual([stop.got, stop.outcome()?.again], [["SIGTERM"], undefined])
      const none = yield* begin({ rules: { onChange: { kind: "ignore" } } })
      yield* none.happens(changed)
      yield* pass("1 hour")
      assert.deepStrictEqual(none.got, [])
    })
  )
})

describe("a program whose lease expires", () => {
  it.effect("is left alone unless something else is wished", () =>
    Effect.gen(function* () {
      const none = yield* begin()
      yield* none.happens({ because: "expired" })
      assert.deepStrictEqual(none.got, [])
      const stop = yield* begin({ rules: { onExpiry: term } })
      yield* stop.happens({ because: "expired" })
      assert.deepStrictEqual([stop.got, stop.outcome()?.because], [["SIGTERM"], "expired"])
    })
  )
})
