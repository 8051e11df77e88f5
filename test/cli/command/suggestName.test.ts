/**
 * What a command suggests for a mistyped name: only what the daemon lists for its caller.
 */
import { assert, describe, it } from "@effect/vitest"
import { refusalProblem } from "../../../src/cli/command/problems.ts"
import { withSuggestion } from "../../../src/cli/command/suggestName.ts"

const problem = refusalProblem({ message: "secret not found", tag: "SecretNotFound" })
const fixFor = (name: string, listed: unknown) => withSuggestion(problem, name, listed).fix
const listed = { secrets: [{ name: "github_token" }, { name: "DB\u001b[2J" }] }

describe("a mistyped name", () => {
  it("gets the closest one of those that are listed", () => {
    for (const name of ["github_tokne", "GITHUB_TOKEN", "github_toke"]) {
      assert.strictEqual(fixFor(name, listed), 'Did you mean "github_token"? All names: secrets list')
    }
  })

  it("gets no control character of another name", () => {
    assert.strictEqual(fixFor("DB\u001b[2K", listed), 'Did you mean "DB\\x1b[2J"? All names: secrets list')
  })

  it("gets the usual hint if none is close, or the list is not one", () => {
    for (const other of [{ secrets: [] }, { secrets: [{ name: "other" }] }, {}, undefined, null, { secrets: [1] }]) {
      assert.strictEqual(fixFor("github_token", other), problem.fix)
    }
  })
})
