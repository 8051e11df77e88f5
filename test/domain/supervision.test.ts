/**
 * What the environment says of a supervisor, and whom it is meant for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { readSupervision, unsupervised } from "../../src/domain/supervision.ts"

const read = (environment: Record<string, string>, given?: string) => readSupervision(environment, 42, given)

const of = (environment: Record<string, string>, given?: string) => Result.getOrThrow(read(environment, given))

describe("what a supervisor says", () => {
  it("is nothing where there is none", () => {
    assert.deepStrictEqual(of({}), unsupervised)
    assert.deepStrictEqual(of({ NOTIFY_SOCKET: "" }), unsupervised)
  })

  it("names the socket as descriptor 3, for this process alone", () => {
    assert.strictEqual(of({ LISTEN_PID: "42", LISTEN_FDS: "1" }).listener, 3)
    assert.strictEqual(of({ LISTEN_PID: "41", LISTEN_FDS: "1" }).listener, undefined)
    assert.strictEqual(of({ LISTEN_FDS: "1" }).listener, undefined)
  })

  for (const count of ["0", "2", "x", ""]) {
    it(`is refused where it hands over LISTEN_FDS=${count} sockets`, () => {
      const failed = read({ LISTEN_PID: "42", LISTEN_FDS: count })
      assert.include(Result.isFailure(failed) ? failed.failure : "", "serves exactly one")
    })
  }

  it("is overruled by a descriptor on the command line, which is neither output", () => {
    assert.strictEqual(of({ LISTEN_PID: "42", LISTEN_FDS: "1" }, "0").listener, 0)
    for (const given of ["1", "2", "-1", "x", ""]) assert.isTrue(Result.isFailure(read({}, given)), given)
  })

  it("names where it hears of us and how often it wants to, in whole microseconds", () => {
    assert.deepStrictEqual(of({ NOTIFY_SOCKET: "@s", WATCHDOG_USEC: "12000000" }), {
      listener: undefined,
      notifySocket: "@s",
      watchdogMillis: 12_000
    })
    assert.strictEqual(of({ WATCHDOG_USEC: "12000000", WATCHDOG_PID: "42" }).watchdogMillis, 12_000)
    assert.strictEqual(of({ WATCHDOG_USEC: "12000000", WATCHDOG_PID: "41" }).watchdogMillis, undefined)
    for (const text of ["0", "", "12s", "-5"]) assert.strictEqual(of({ WATCHDOG_USEC: text }).watchdogMillis, undefined)
  })
})
