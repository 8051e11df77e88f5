/**
 * What `exec` asks the daemon while its program runs, and what it makes of the replies.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { type Ask, followRun } from "../../../../../src/cli/commands/project/run/followRun.ts"
import type { News } from "../../../../../src/cli/commands/project/run/programStates.ts"
import type { ErrorTag } from "../../../../../src/rpc/protocol/errorTags.ts"

type Reply = object | ErrorTag | "none" | "hangs"

/** Watches with a daemon that gives these replies, and then hangs. */
const begin = Effect.fnUntraced(function* (
  replies: ReadonlyArray<Reply>,
  { requireDaemon, runId = "r1" }: { readonly requireDaemon?: number; readonly runId?: string | undefined } = {}
) {
  const asked: Array<Record<string, unknown>> = []
  const news: Array<string> = []
  const refusals: Array<string> = []
  const left = [...replies]
  const ask: Ask = (method, params) => {
    asked.push({ method, ...params })
    const reply = left.shift() ?? "hangs"
    if (reply === "hangs") return Effect.never
    if (reply === "none") return Effect.succeed(undefined)
    return Effect.succeed(
      typeof reply === "string"
        ? { error: { code: -1, message: reply, tag: reply } }
        : { error: undefined, result: reply }
    )
  }
  const run = { runId: runId === "" ? undefined : runId, cursor: 7 }
  const fiber = yield* followRun(ask, {
    run,
    pid: 42,
    beginParams: () => ({ lease_ids: "a" }),
    takeUpParams: () => ({ lease_ids: "a", run_id: run.runId, cursor: run.cursor }),
    offer: ({ because, secretName }: News) => void news.push([because, secretName].filter(Boolean).join(" ")),
    requireDaemon,
    onRefusal: ({ message }) => Effect.sync(() => void refusals.push(message))
  }).pipe(Effect.forkChild)
  yield* TestClock.adjust(0)
  const last = () => asked.at(-1)
  return { asked, last, news, refusals, run, left, isOver: () => fiber.pollUnsafe() !== undefined }
})

const events = (...kinds: ReadonlyArray<string>) =>
  kinds.map((kind, at) => ({ kind, secret_name: "db", seq: at, at: "", lease_id: "a" }))

describe("the watch of a run", () => {
  it.effect("asks again after each reply, from the last entry that it knows", () =>
    Effect.gen(function* () {
      const { asked, news, run } = yield* begin([
        { events: [], cursor: 7 },
        { events: events("changed", "replaced", "of a newer daemon", "revoked"), cursor: 12 },
        { events: [{ kind: "killswitch" }], cursor: 13 }
      ])
      assert.deepStrictEqual(
        asked.map(({ after }) => after),
        [7, 7, 12, 13]
      )
      assert.deepInclude(asked[0], { method: "runs.watch", run_id: "r1", timeout: "50", pid: 42 })
      assert.deepStrictEqual([news, run.cursor], [["changed db", "revoked db", "killswitch"], 13])
    })
  )

  it.effect("takes the run up where a new daemon does not know it", () =>
    Effect.gen(function* () {
      const { asked, news } = yield* begin([
        "RunNotFound",
        { run_id: "r1", cursor: 7 },
        { events: events("revoked"), cursor: 9 }
      ])
      assert.deepStrictEqual(
        asked.map(({ method }) => method),
        ["runs.watch", "runs.begin", "runs.watch", "runs.watch"]
      )
      assert.deepInclude(asked[1], { run_id: "r1", cursor: 7, lease_ids: "a" })
      assert.deepStrictEqual(news, ["revoked db"])
    })
  )

  it.effect("registers a run that no daemon has accepted yet", () =>
    Effect.gen(function* () {
      const { asked, last, run } = yield* begin(["none", { run_id: "r2", cursor: 3 }], { runId: "" })
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(asked[1], { method: "runs.begin", lease_ids: "a" })
      assert.deepInclude(last(), { method: "runs.watch", run_id: "r2", after: 3 })
      assert.strictEqual(run.runId, "r2")
    })
  )

  it.effect("tries again with longer pauses while the daemon is away, stops or is busy, and does nothing else", () =>
    Effect.gen(function* () {
      const gone = Array<Reply>(8).fill("none")
      const { asked, left, news } = yield* begin([{ events: [], cursor: 7, stopping: true }, "Stopping", ...gone])
      yield* TestClock.adjust("199 millis")
      assert.lengthOf(asked, 1)
      yield* TestClock.adjust("101 millis")
      assert.lengthOf(asked, 2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([left.length, news], [0, []])
    })
  )

  it.effect("gives up a reply of a daemon that hangs", () =>
    Effect.gen(function* () {
      const { asked, news } = yield* begin(["hangs", { events: events("revoked"), cursor: 9 }])
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(asked, 1)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(news, ["revoked db"])
    })
  )

  it.effect("ends when the daemon refuses it, with the reason", () =>
    Effect.gen(function* () {
      const { isOver, news, refusals } = yield* begin(["MethodNotFound"])
      assert.deepStrictEqual([isOver(), refusals, news], [true, ["MethodNotFound"], []])
    })
  )

  it.effect("reports a daemon that is required and lost, once, and not one that answers late", () =>
    Effect.gen(function* () {
      const requireDaemon = 30_000
      const { asked, news } = yield* begin(Array<Reply>(60).fill("none"), { requireDaemon })
      assert.strictEqual(asked[0]?.["timeout"], "10")
      yield* TestClock.adjust("29999 millis")
      assert.deepStrictEqual(news, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(news, ["daemon lost"])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(news, ["daemon lost"])
      const late = yield* begin(["hangs", "hangs", { events: [], cursor: 7 }], { requireDaemon })
      yield* TestClock.adjust("35 seconds")
      assert.deepStrictEqual(late.news, [])
      const hangs = yield* begin([], { requireDaemon })
      yield* TestClock.adjust("41 seconds")
      assert.deepStrictEqual(hangs.news, ["daemon lost"])
    })
  )
})
