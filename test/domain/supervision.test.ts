/**
 * The environment variables of systemd, and the process they are meant for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { readSupervision } from "../../src/domain/supervision.ts"

const read = (environment: Record<string, string>, given?: string) => readSupervision(environment, 42, given)

const of = (environment: Record<string, string>, given?: string) => Result.getOrThrow(read(environment, given))

const unsupervised = { listeners: [], notifySocket: undefined, watchdogMillis: undefined }

describe("supervision", () => {
  it("is absent without its variables", () => {
    assert.deepStrictEqual(of({}), unsupervised)
    assert.deepStrictEqual(of({ NOTIFY_SOCKET: "" }), unsupervised)
  })

  it("has the socket as descriptor 3, for this process alone", () => {
    assert.deepStrictEqual(of({ LISTEN_PID: "42", LISTEN_FDS: "1" }).listeners, [3])
    assert.deepStrictEqual(of({ LISTEN_PID: "41", LISTEN_FDS: "1" }).listeners, [])
    assert.deepStrictEqual(of({ LISTEN_FDS: "1" }).listeners, [])
  })

  it("has several sockets as descriptors from 3 on", () => {
    assert.deepStrictEqual(of({ LISTEN_PID: "42", LISTEN_FDS: "3" }).listeners, [3, 4, 5])
  })

  for (const count of ["0", "65", "999999999999999", "x", ""]) {
    it(`is rejected with LISTEN_FDS=${count}`, () => {
      const failed = read({ LISTEN_PID: "42", LISTEN_FDS: count })
      assert.include(Result.isFailure(failed) ? failed.failure : "", "sockets (LISTEN_FDS)")
    })
  }

  it("yields to a descriptor on the command line, other than the outputs", () => {
    assert.deepStrictEqual(of({ LISTEN_PID: "42", LISTEN_FDS: "1" }, "0").listeners, [0])
    for (const given of ["1", "2", "-1", "x", ""]) assert.isTrue(Result.isFailure(read({}, given)), given)
  })

  it("has the notification socket, and the watchdog timeout in whole microseconds", () => {
    assert.deepStrictEqual(of({ NOTIFY_SOCKET: "@s", WATCHDOG_USEC: "12000000" }), {
      listeners: [],
      notifySocket: "@s",
      watchdogMillis: 12_000
    })
    assert.strictEqual(of({ WATCHDOG_USEC: "12000000", WATCHDOG_PID: "42" }).watchdogMillis, 12_000)
    assert.strictEqual(of({ WATCHDOG_USEC: "12000000", WATCHDOG_PID: "41" }).watchdogMillis, undefined)
    for (const text of ["0", "", "12s", "-5"]) assert.strictEqual(of({ WATCHDOG_USEC: text }).watchdogMillis, undefined)
  })
})
