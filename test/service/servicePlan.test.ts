/**
 * The plan of an installation and of a removal, for each state of the disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { InstalledFile } from "../../src/service/ServiceFile.ts"
import { stamp } from "../../src/service/ServiceFile.ts"
import type { PlanInput } from "../../src/service/servicePlan.ts"
import { planInstall, planUninstall } from "../../src/service/servicePlan.ts"

const supervisor: PlanInput["supervisor"] = {
  steps: (verb, withSocket) => [{ command: [verb, ...(withSocket ? ["socket"] : [])] }],
  reload: [{ command: ["reload"] }]
}
const ours = (text: string) => stamp(text, { program: "/x" })
const service = { path: "/u/x.service", text: ours("one\n") }
const socket = { path: "/u/x.socket", text: ours("two\n") }
const noFiles: ReadonlyArray<InstalledFile> = [
  { path: service.path, text: undefined },
  { path: socket.path, text: undefined }
]
const input = (installed: ReadonlyArray<InstalledFile>, more: Partial<PlanInput> = {}): PlanInput => ({
  supervisor,
  installed,
  loaded: installed.some(({ text }) => text !== undefined),
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
            before: value.before.map(({ command }) => command.join(" ")),
            changes: value.changes.map(({ backup, kind, path }) =>
              [kind, path, ...(backup === undefined ? [] : [backup])].join(" ")
            ),
            after: value.after.map(({ command }) => command.join(" "))
          }
  })

describe("an installation", () => {
  it("writes and loads the files if there are none", () => {
    assert.deepStrictEqual(shown(planInstall(input(noFiles), [service])), {
      before: [],
      changes: ["write /u/x.service"],
      after: ["load"]
    })
  })

  it("does nothing if the installed files are current", () => {
    assert.isUndefined(shown(planInstall(input([service, { ...socket, text: undefined }]), [service])))
    assert.isUndefined(shown(planInstall(input([service, socket]), [service, socket])))
  })

  it("loads current files that are not loaded", () => {
    const installed = [service, { ...socket, text: undefined }]
    assert.deepStrictEqual(shown(planInstall(input(installed, { loaded: false }), [service])), {
      before: ["unload"],
      changes: [],
      after: ["load"]
    })
  })

  it("replaces the files of an older version", () => {
    const installed = [
      { ...service, text: ours("older\n") },
      { ...socket, text: undefined }
    ]
    assert.deepStrictEqual(shown(planInstall(input(installed), [service])), {
      before: ["unload"],
      changes: ["write /u/x.service"],
      after: ["load"]
    })
  })

  it("adds and removes the socket unit", () => {
    const without = [service, { ...socket, text: undefined }]
    assert.deepStrictEqual(shown(planInstall(input(without), [service, socket])), {
      before: ["unload"],
      changes: ["write /u/x.socket"],
      after: ["load socket"]
    })
    assert.deepStrictEqual(shown(planInstall(input([service, socket]), [service])), {
      before: ["unload socket"],
      changes: ["remove /u/x.socket"],
      after: ["load"]
    })
  })

  it("refuses to replace an edited or foreign file, and backs it up with force", () => {
    for (const [text, why] of [
      [`${ours("one\n")}mine\n`, "was edited since this command wrote it"],
      ["mine\n", "was not written by this command"]
    ] as const) {
      const installed = [
        { ...service, text },
        { ...socket, text: undefined }
      ]
      assert.strictEqual(shown(planInstall(input(installed), [service])), `/u/x.service ${why}`)
      assert.deepStrictEqual(shown(planInstall(input(installed, { force: true }), [service])), {
        before: ["unload"],
        changes: ["write /u/x.service /u/x.service.bak"],
        after: ["load"]
      })
    }
  })
})

describe("a removal", () => {
  it("does nothing if there is no service", () => {
    assert.isUndefined(shown(planUninstall(input(noFiles))))
  })

  it("unloads the service first, and removes all its files", () => {
    assert.deepStrictEqual(shown(planUninstall(input([service, socket]))), {
      before: ["unload socket"],
      changes: ["remove /u/x.service", "remove /u/x.socket"],
      after: ["reload"]
    })
  })

  it("unloads a service whose file is gone", () => {
    assert.deepStrictEqual(shown(planUninstall(input(noFiles, { loaded: true }))), {
      before: ["unload"],
      changes: [],
      after: ["reload"]
    })
  })

  it("refuses to remove an edited file, and backs it up with force", () => {
    const installed = [
      { ...service, text: `${service.text}mine\n` },
      { ...socket, text: undefined }
    ]
    assert.strictEqual(shown(planUninstall(input(installed))), "/u/x.service was edited since this command wrote it")
    assert.deepStrictEqual(shown(planUninstall(input(installed, { force: true })))?.changes, [
      "remove /u/x.service /u/x.service.bak"
    ])
  })
})
