/**
 * What programs really send to their helpers (test/fixtures/helperCalls.json), where the programs
 * themselves are not installed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { ask } from "./ask.ts"

const file = path.join(import.meta.dirname, "../../../fixtures/helperCalls.json")
const calls: ReadonlyArray<any> = JSON.parse(fs.readFileSync(file, "utf8"))
const token = { secret: "token" }
const targets = {
  git: { "https://github.com": token },
  openclaw: { "*": {} },
  docker: { "ghcr.io": { ...token, username: "me" } },
  kubernetes: { prod: token },
  cargo: { "sparse+https://crates.example.com/index/": token },
  pip: { "https://pypi.example.com/simple": { ...token, username: "me" } },
  terraform: { "app.terraform.io": token },
  askpass: { "Enter passphrase for *": token }
}

describe("a recorded call of", () => {
  for (const { client, env, input, protocol, status = 0, stdout, words } of calls) {
    it(`${client} gets its answer`, () => {
      const said = ask(protocol, {
        words,
        targets,
        secrets: { token: "made-up" },
        ...(input && { input }),
        ...(env && { env })
      })
      assert.deepStrictEqual([said.stdout, said.status], [stdout, status])
    })
  }
})
