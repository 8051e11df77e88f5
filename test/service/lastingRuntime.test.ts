/**
 * The path of Node in a service file: it outlives an upgrade where a package manager keeps a link.
 */
import { assert, describe, it } from "@effect/vitest"
import { lastingProgram, lastingRuntime, runtimeRemark } from "../../src/service/lastingRuntime.ts"

const links = (found: Readonly<Record<string, string>>) => (file: string) => found[file] ?? file

describe("lastingRuntime", () => {
  it("is the link of a Homebrew formula that points to the same file", () => {
    for (const prefix of ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"]) {
      for (const formula of ["node", "node@24"]) {
        const real = `${prefix}/Cellar/${formula}/24.21.0_1/bin/node`
        const link = `${prefix}/opt/${formula}/bin/node`
        assert.strictEqual(lastingRuntime(real, links({ [link]: real })), link)
        assert.strictEqual(lastingRuntime(link, links({ [link]: real })), link)
        const older = `${prefix}/Cellar/${formula}/24.20.0/bin/node`
        assert.strictEqual(lastingRuntime(older, links({ [link]: real })), older)
      }
    }
  })

  it("is another known link, or else the path itself", () => {
    const real = "/opt/homebrew/Cellar/node/24.21.0/bin/node"
    assert.strictEqual(lastingRuntime(real, links({ "/opt/homebrew/bin/node": real })), "/opt/homebrew/bin/node")
    assert.strictEqual(lastingRuntime("/usr/bin/node", links({})), "/usr/bin/node")
    assert.strictEqual(lastingRuntime("/mine/bin/node", links({})), "/mine/bin/node")
  })
})

describe("lastingProgram", () => {
  it("is the link of a Homebrew formula that points to the same file, or the path itself", () => {
    const real = "/opt/homebrew/Cellar/agent-secrets/1.0.0/libexec/dist/secrets.mjs"
    const link = "/opt/homebrew/opt/agent-secrets/libexec/dist/secrets.mjs"
    assert.strictEqual(lastingProgram(real, links({ [link]: real })), link)
    assert.strictEqual(lastingProgram(real, links({})), real)
    assert.strictEqual(lastingProgram("/mine/dist/secrets.mjs", links({})), "/mine/dist/secrets.mjs")
  })
})

describe("runtimeRemark", () => {
  it("names the version manager whose version the service would lose", () => {
    for (const [manager, runtime] of [
      ["nvm", "/Users/joel/.nvm/versions/node/v24.21.0/bin/node"],
      ["fnm", "/Users/joel/.local/share/fnm/node-versions/v24.21.0/installation/bin/node"],
      ["fnm", "/Users/joel/.local/state/fnm_multishells/1_2/bin/node"],
      ["mise", "/Users/joel/.local/share/mise/installs/node/24.21.0/bin/node"],
      ["volta", "/Users/joel/.volta/tools/image/node/24.21.0/bin/node"],
      ["asdf", "/Users/joel/.asdf/installs/nodejs/24.21.0/bin/node"]
    ] as const) {
      assert.include(runtimeRemark(runtime) ?? "", `a Node of ${manager},`)
    }
  })

  it("is absent for a lasting path and for the binary", () => {
    for (const runtime of [undefined, "/opt/homebrew/opt/node@24/bin/node", "/usr/bin/node", "/Users/mise/bin/node"]) {
      assert.isUndefined(runtimeRemark(runtime))
    }
  })
})
