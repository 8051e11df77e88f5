/**
 * The flags of `exec` that say what becomes of its program.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readRules, watchingFlags } from "../../../../../src/cli/commands/project/run/reactions.ts"

const argsOf = (given: Readonly<Record<string, string | true>>) => ({
  positionals: [],
  option: (name: string) => (typeof given[name] === "string" ? given[name] : undefined),
  options: () => [],
  flag: (name: string) => given[name] === true
})
const read = (given: Readonly<Record<string, string | true>>) => readRules(argsOf(given))
const refusal = (flag: string, value: string) =>
  Effect.map(Effect.flip(read({ [flag]: value })), ({ message }) => message)

const term = { kind: "stop", signal: "SIGTERM" }

describe("the reactions of exec", () => {
  it.effect("are to stop at a revoke, and nothing else, by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({}), {
        onRevoke: term,
        onChange: { kind: "ignore" },
        onExpiry: { kind: "ignore" },
        killSignal: "SIGTERM",
        killTimeout: 10_000,
        splay: 0,
        requireDaemon: undefined
      } as never)
      const watching = yield* read({ watch: true, "stop-at-expiry": true })
      assert.deepStrictEqual([watching.onChange, watching.onExpiry] as unknown, [{ kind: "restart" }, term])
      const both = yield* read({ watch: true, "on-change": "signal:hup" })
      assert.deepStrictEqual(both.onChange as unknown, { kind: "signal", signal: "SIGHUP" })
    })
  )

  it.effect("are words in any case, signals, and commands that exist", () =>
    Effect.gen(function* () {
      for (const [word, reaction] of [
        ["term", { kind: "stop", signal: "SIGINT" }],
        ["KILL", { kind: "stop", signal: "SIGKILL" }],
        ["hup", { kind: "signal", signal: "SIGHUP" }],
        ["none", { kind: "ignore" }],
        ["ignore", { kind: "ignore" }],
        ["signal:usr1", { kind: "signal", signal: "SIGUSR1" }],
        ["signal:SIGUSR1", { kind: "signal", signal: "SIGUSR1" }],
        ["sh", { kind: "command", command: "sh" }],
        ["./later.sh", { kind: "command", command: "./later.sh" }],
        ["pkill -HUP x", { kind: "command", command: "pkill -HUP x" }]
      ] as const) {
        const { onRevoke } = yield* read({ "on-revoke": word, "kill-signal": "int" })
        assert.deepStrictEqual(onRevoke as unknown, reaction, word)
      }
      const rules = yield* read({ "on-expiry": "renew", "on-change": "restart" })
      assert.deepStrictEqual([rules.onExpiry.kind, rules.onChange.kind], ["renew", "restart"])
    })
  )

  it.effect("have durations of which some may be 0 or never", () =>
    Effect.gen(function* () {
      const rules = yield* read({ "kill-timeout": "never", splay: "1m", "require-daemon": "30s" })
      assert.deepStrictEqual([rules.killTimeout, rules.splay, rules.requireDaemon], [Infinity, 60_000, 30_000])
      assert.strictEqual((yield* read({ "kill-timeout": "0" })).killTimeout, 0)
    })
  )

  it.effect("reject what they cannot do, before anything is leased", () =>
    Effect.gen(function* () {
      for (const word of ["tem", "", " ", "restart", "renew", "signal"]) {
        const expected = "--on-revoke must be term, kill, hup, signal:NAME, none, or a command that exists"
        assert.strictEqual(yield* refusal("on-revoke", word), expected, word)
      }
      for (const [flag, value, message] of [
        ["on-change", "true x", "--on-change must be term, kill, hup, signal:NAME, none, or restart"],
        ["on-expiry", "restart", "--on-expiry must be term, kill, hup, signal:NAME, none, or renew"],
        ["on-revoke", "signal:NOPE", "--on-revoke: there is no signal nope"],
        ["kill-signal", "", "--kill-signal: there is no signal "],
        ["kill-timeout", "10", "--kill-timeout must be a duration"],
        ["kill-timeout", "-1s", "--kill-timeout must be a duration"],
        ["splay", "never", "--splay must be a duration"],
        ["require-daemon", "0", "--require-daemon must be a duration above 0"]
      ] as const) {
        assert.strictEqual(yield* refusal(flag, value), message)
      }
    })
  )

  it("name the flags that need a daemon", () => {
    assert.deepStrictEqual(watchingFlags(argsOf({ splay: "1s", "kill-timeout": "1s", "on-expiry": "term" })), [])
    assert.deepStrictEqual(watchingFlags(argsOf({ watch: true, "on-revoke": "none" })), ["--on-revoke", "--watch"])
  })
})
