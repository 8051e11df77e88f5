/**
 * What an installation and a removal would do, for each state of the disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { InstalledFile, PlanInput } from "../../src/service/servicePlan.ts"
import { planInstall, planUninstall } from "../../src/service/servicePlan.ts"
import { stamp } from "../../src/service/stamp.ts"

const supervisor: PlanInput["supervisor"] = {
  steps: (verb, withSocket) => [{ words: [verb, ...(withSocket ? ["socket"] : [])] }],
  reread: [{ words: ["reread"] }]
}
const ours = (text: string) => stamp(text, { program: "/x" })
const service = { path: "/u/x.service", text: ours("one\n") }
const socket = { path: "/u/x.socket", text: ours("two\n") }
const nothing: ReadonlyArray<InstalledFile> = [
  { path: service.path, text: undefined },
  { path: socket.path, text: undefined }
]
const situation = (found: ReadonlyArray<InstalledFile>, more: Partial<PlanInput> = {}): PlanInput => ({
  supervisor,
  found,
  loaded: found.some(({ text }) => text !== undefined),
  force: false,
  ...more
})
const shown = (plan: ReturnType<typeof planInstall>): any =>
  Result.match(plan, {
    onFailure: ({ message }) => message,
    onSuccess: (value) =>
      value === undefined
        ? undefined
        : {
            before: value.before.map(({ words }) => words.join(" ")),
            changes: value.changes.map(({ backup, kind, path }) =>
              [kind, path, ...(backup === undefined ? [] : [backup])].join(" ")
            ),
            after: value.after.map(({ words }) => words.join(" "))
          }
  })

describe("an installation", () => {
  it("writes and loads where nothing is", () => {
    assert.deepStrictEqual(shown(planInstall(situation(nothing), [service])), {
      before: [],
      changes: ["write /u/x.service"],
      after: ["load"]
    })
  })

  it("does nothing where everything is as it is to be", () => {
    assert.isUndefined(shown(planInstall(situation([service, { ...socket, text: undefined }]), [service])))
    assert.isUndefined(shown(planInstall(situation([service, socket]), [service, socket])))
  })

  it("loads what is there and is not loaded", () => {
    const found = [service, { ...socket, text: undefined }]
    assert.deepStrictEqual(shown(planInstall(situation(found, { loaded: false }), [service])), {
      before: ["unload"],
      changes: [],
      after: ["load"]
    })
  })

  it("replaces what an older version wrote", () => {
    const found = [
      { ...service, text: ours("older\n") },
      { ...socket, text: undefined }
    ]
    assert.deepStrictEqual(shown(planInstall(situation(found), [service])), {
      before: ["unload"],
      changes: ["write /u/x.service"],
      after: ["load"]
    })
  })

  it("brings a socket and takes it away", () => {
    const without = [service, { ...socket, text: undefined }]
    assert.deepStrictEqual(shown(planInstall(situation(without), [service, socket])), {
      before: ["unload"],
      changes: ["write /u/x.socket"],
      after: ["load socket"]
    })
    assert.deepStrictEqual(shown(planInstall(situation([service, socket]), [service])), {
      before: ["unload socket"],
      changes: ["remove /u/x.socket"],
      after: ["load"]
    })
  })

  it("leaves an edited file and one of somebody else alone, or keeps it by force", () => {
    for (const [text, why] of [
      [`${ours("one\n")}mine\n`, "was edited since this command wrote it"],
      ["mine\n", "was not written by this command"]
    ] as const) {
      const found = [
        { ...service, text },
        { ...socket, text: undefined }
      ]
      assert.strictEqual(shown(planInstall(situation(found), [service])), `/u/x.service ${why}`)
      assert.deepStrictEqual(shown(planInstall(situation(found, { force: true }), [service])), {
        before: ["unload"],
        changes: ["write /u/x.service /u/x.service.bak"],
        after: ["load"]
      })
    }
  })
})

describe("a removal", () => {
  it("does nothing where nothing is", () => {
    assert.isUndefined(shown(planUninstall(situation(nothing))))
  })

  it("ends it first, and takes all its files away", () => {
    assert.deepStrictEqual(shown(planUninstall(situation([service, socket]))), {
      before: ["unload socket"],
      changes: ["remove /u/x.service", "remove /u/x.socket"],
      after: ["reread"]
    })
  })

  it("ends what is at work although its file is gone", () => {
    assert.deepStrictEqual(shown(planUninstall(situation(nothing, { loaded: true }))), {
      before: ["unload"],
      changes: [],
      after: ["reread"]
    })
  })

  it("leaves an edited file alone, or keeps it by force", () => {
    const found = [
      { ...service, text: `${service.text}mine\n` },
      { ...socket, text: undefined }
    ]
    assert.strictEqual(shown(planUninstall(situation(found))), "/u/x.service was edited since this command wrote it")
    assert.deepStrictEqual(shown(planUninstall(situation(found, { force: true })))?.changes, [
      "remove /u/x.service /u/x.service.bak"
    ])
  })
})
