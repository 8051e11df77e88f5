/**
 * Programs that ask or tell a person: only a clear yes approves, and only a clear no denies.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import { askPerson } from "../../../src/daemon/lifecycle/askPerson.ts"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import { announceOpened, answerRequest, leaseQuestion } from "../../../src/daemon/operations/requests.ts"
import { OpenRequests, requestsLayer } from "../../../src/daemon/operations/RequestTable.ts"
import { minute, type GoDuration } from "../../../src/domain/GoDuration.ts"
import { testLayerNoTelemetry } from "../../support/testLayer.ts"
import { tools } from "../../support/tools.ts"
import { until } from "../../support/waiting.ts"

/** Opens a request of a client and passes it on; returns its id and what tells its state. */
const open = Effect.fnUntraced(function* (clientId: string, reason = "to deploy") {
  const table = yield* OpenRequests
  const use = { secretName: "db", clientId, via: "exec", program: "npm", reason }
  const asked = leaseQuestion(use, 5n * minute, 15n * minute, yield* CurrentCaller)
  table.admit(asked)
  const request = table.pending().find((one) => one.clientId === clientId)
  if (request === undefined) return assert.fail("it is open")
  yield* announceOpened(request)
  return { id: request.id, state: () => table.find(request.id)?.state, isGranted: () => table.isGranted(asked) }
})

/** Runs a test beside a daemon that asks by this script, named ask-PERSON. */
const asking = <A, E>(
  script: string,
  test: (setup: {
    readonly directory: string
    readonly calls: () => ReadonlyArray<string>
  }) => Effect.Effect<A, E, any>,
  timeout: GoDuration = minute
) =>
  Effect.gen(function* () {
    const { calls, directory, environment } = yield* tools({ asker: script })
    const settings = { command: ["asker"], notify: undefined, open: 10n * minute, timeout }
    yield* Effect.forkScoped(askPerson(settings, { ...environment, DISPLAY: ":9", SECRET_TOKEN: "no" }))
    yield* Effect.yieldNow
    return yield* test({ directory, calls })
  }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(testLayerNoTelemetry, requestsLayer()))) as Effect.Effect<A, E>

describe("a program that asks a person", () => {
  it.live(
    "gets the question as its argument, with the contract of ssh-askpass and no other variable of the daemon",
    () =>
      asking('env > "$DIR/env"; exit 0', ({ calls, directory }) =>
        Effect.gen(function* () {
          const { id, state } = yield* open("codex\u001b[2J", "x".repeat(500))
          yield* until(() => state() === "approved")
          const [question = ""] = calls()
          assert.match(
            question,
            /^asker Approve db for codex\\x1b\[2J via exec \(npm\), TTL 5m, for 15m\? Request [A-Z]{4}\. It says: x+$/
          )
          assert.isAtMost(Buffer.byteLength(question), 406)
          const variables = fs.readFileSync(path.join(directory, "env"), "utf8")
          assert.include(variables, "SSH_ASKPASS_PROMPT=confirm\n")
          assert.include(variables, `AGENT_SECRETS_REQUEST=${id}\n`)
          assert.include(variables, "DISPLAY=:9\n")
          assert.notInclude(variables, "SECRET_TOKEN")
        })
      )
  )

  it.live(
    "approves by 0 once and by 3 for the time of the rule, denies by 1, and gives no answer by anything else",
    () =>
      asking(
        `case "$*" in
        *yes*) exit 0;; *long*) exit 3;; *no*) exit 1;; *gnome*) exit 255;; *crash*) kill -SEGV $$;;
        *blind*) echo "Can't open display" >&2; exit 1;; *) exit 7;;
      esac`,
        () =>
          Effect.gen(function* () {
            const asked = new Map<string, Effect.Success<ReturnType<typeof open>>>()
            for (const name of ["crash", "blind", "else", "no", "gnome", "yes", "long"])
              asked.set(name, yield* open(name))
            yield* until(() => asked.get("long")?.state() === "approved")
            assert.deepStrictEqual(
              [...asked].map(([name, { state }]) => [name, state()]),
              [
                ["crash", "pending"],
                ["blind", "pending"],
                ["else", "pending"],
                ["no", "denied"],
                ["gnome", "denied"],
                ["yes", "approved"],
                ["long", "approved"]
              ]
            )
          })
      )
  )

  it.live("hangs and floods without an answer, one at a time, and ends when a person answers otherwise", () =>
    asking(
      `case "$*" in
        *flood*) while :; do echo 0123456789012345678901234567890123456789 >&2; done;;
        *hang*) echo $$ > "$DIR/hang"; sleep 60;;
      esac`,
      ({ calls, directory }) =>
        Effect.gen(function* () {
          const flood = yield* open("flood")
          const hang = yield* open("hang")
          const last = yield* open("last")
          yield* until(() => calls().length === 1)
          yield* until(() => fs.existsSync(path.join(directory, "hang")))
          assert.deepStrictEqual([flood.state(), last.state()], ["pending", "pending"])
          yield* answerRequest(hang.id, { _tag: "Deny", why: "" })
          yield* until(() => last.state() === "approved")
          assert.deepStrictEqual([calls().length, hang.state()], [3, "denied"])
          const pid = Number(fs.readFileSync(path.join(directory, "hang"), "utf8"))
          assert.throws(() => process.kill(pid, 0), /ESRCH/)
        }),
      100_000_000n
    )
  )
})

describe("a program that notifies a person", () => {
  it.live("runs once for each request, at most six times a minute", () =>
    Effect.gen(function* () {
      const { calls, environment } = yield* tools({ teller: "" })
      const settings = { command: undefined, notify: ["teller", "-x"], open: 10n * minute, timeout: minute }
      yield* Effect.forkScoped(askPerson(settings, environment))
      yield* Effect.yieldNow
      const first = yield* open("c0")
      for (let n = 1; n < 9; n += 1) yield* open(`c${n}`)
      yield* until(() => calls().length === 6)
      assert.strictEqual(calls()[0], `teller -x Approval: c0 asks for db. Answer: secrets approve ${first.id}`)
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(testLayerNoTelemetry, requestsLayer())))
  )
})
