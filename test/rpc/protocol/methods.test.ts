/**
 * The table of methods: what a name that is no method gets, and which tags end a retry.
 */
import { assert, describe, it } from "@effect/vitest"
import { isMethodName, type MethodSpec, methods } from "../../../src/rpc/protocol/methods.ts"

describe("the table of methods", () => {
  it("has no method for a name that every object has, or in another letter case", () => {
    for (const name of ["constructor", "__proto__", "toString", "", "secrets.LEASE"]) assert.isFalse(isMethodName(name))
    assert.isTrue(isMethodName("secrets.lease"))
  })

  it("queues every change of the store, and never a lease", () => {
    const queued = Object.entries<MethodSpec>(methods).filter(([, { queue }]) => queue === "write")
    assert.sameMembers(
      queued.map(([name]) => name),
      ["secrets.add", "secrets.update", "secrets.delete"]
    )
    assert.strictEqual(methods["secrets.lease"].queue, "immediate")
  })

  it("permits no retry of a method that would take effect twice", () => {
    const once = Object.entries<MethodSpec>(methods).filter(([, { retry }]) => retry === "once")
    assert.sameMembers(
      once.map(([name]) => name),
      ["secrets.add", "secrets.rotate", "daemon.restart"]
    )
  })
})
