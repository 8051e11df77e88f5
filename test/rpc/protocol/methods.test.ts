/**
 * The table of methods: what a name that is no method gets, which tags end a retry, and what
 * each role may do.
 */
import { assert, describe, it } from "@effect/vitest"
import { roles } from "../../../src/domain/Caller.ts"
import {
  forbiddenTo,
  isMethodName,
  type MethodName,
  type MethodSpec,
  methods
} from "../../../src/rpc/protocol/methods.ts"

describe("the table of methods", () => {
  it("has no method for a name that every object has, or in another letter case", () => {
    for (const name of ["constructor", "__proto__", "toString", "", "secrets.LEASE"]) assert.isFalse(isMethodName(name))
    assert.isTrue(isMethodName("secrets.lease"))
  })

  it("queues every change of the store, and never a lease", () => {
    const queued = Object.entries<MethodSpec>(methods).filter(([, { queue }]) => queue === "write")
    assert.sameMembers(
      queued.map(([name]) => name),
      ["secrets.add", "secrets.import", "secrets.update", "secrets.delete", "secrets.restore"]
    )
    assert.strictEqual(methods["secrets.lease"].queue, "immediate")
  })

  it("permits no retry of a method that would take effect twice", () => {
    const once = Object.entries<MethodSpec>(methods).filter(([, { retry }]) => retry === "once")
    assert.sameMembers(
      once.map(([name]) => name),
      [
        "secrets.add",
        "secrets.import",
        "secrets.rotate",
        "runs.begin",
        "proxy.open",
        "approvals.answer",
        "daemon.restart"
      ]
    )
  })
})

const all = Object.keys(methods).filter(isMethodName)
const allowed = (role: (typeof roles)[number]) => all.filter((method) => forbiddenTo(role, method, {}) === undefined)

describe("a role", () => {
  it("may call what the table lists, and the owner everything", () => {
    assert.deepStrictEqual(allowed("owner"), all)
    assert.sameMembers(
      all.filter((method) => !allowed("operator").includes(method)),
      [
        "secrets.fingerprints",
        "secrets.identify",
        "secrets.acceptFindings",
        "secrets.unlock",
        "secrets.backup",
        "secrets.restore",
        "approvals.answer",
        "approvals.revoke"
      ]
    )
    const waiting: Array<MethodName> = ["requests.list", "requests.wait", "approvals.wait"]
    const worker: Array<MethodName> = [
      "secrets.status",
      "daemon.status",
      "secrets.list",
      "secrets.show",
      "secrets.recordTrust",
      "secrets.lease",
      "secrets.reportRejection",
      "secrets.leases",
      "secrets.revoke",
      "secrets.revokeMatching",
      "runs.begin",
      "runs.watch",
      "runs.end",
      "runs.list",
      "proxy.open",
      "proxy.status",
      "proxy.check",
      "secrets.request",
      ...waiting
    ]
    assert.sameMembers(allowed("lease"), worker)
    assert.sameMembers(allowed("use"), worker)
    assert.sameMembers(allowed("approve"), [
      "secrets.status",
      "daemon.status",
      ...waiting,
      "approvals.answer",
      "approvals.revoke"
    ])
  })

  it("other than the owner sets no rotation and wipes no store, whatever the type of the parameter", () => {
    for (const given of ["cat identity.age", true, 1, 0, [], {}, ["x"]]) {
      for (const [method, param] of [
        ["secrets.add", "rotate_via"],
        ["secrets.add", "rotate_stdout"],
        ["secrets.update", "rotate_via"],
        ["secrets.update", "rotate_stdout"],
        ["secrets.update", "rotate_via_set"],
        ["secrets.killswitch", "wipe_store"]
      ] as const) {
        assert.strictEqual(
          forbiddenTo("operator", method, { [param]: given }),
          `the role operator may not set ${param}`
        )
        assert.isUndefined(forbiddenTo("owner", method, { [param]: given }))
      }
    }
  })

  it("may send such a parameter with the value that an absent one has", () => {
    for (const unset of [undefined, null, "", false]) {
      assert.isUndefined(forbiddenTo("operator", "secrets.update", { rotate_via: unset, rotate_via_set: unset }))
    }
    assert.isUndefined(forbiddenTo("operator", "secrets.killswitch", undefined))
  })
})
