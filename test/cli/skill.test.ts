/**
 * The command lines in the skill are valid.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { Command } from "../../src/cli/command/Command.ts"
import { commands } from "../../src/cli/commands.ts"

const skill = fs.readFileSync(new URL("../../skills/agent-secrets/SKILL.md", import.meta.url), "utf8")

const lines = [...skill.matchAll(/^```sh\n(.*?)^```$/gms)]
  .flatMap(([, block = ""]) => block.trim().split("\n"))
  .map((line) => line.split(/ [|<] /)[0] ?? "")

describe("the skill", () => {
  it("has a name and a description", () => {
    assert.match(skill, /^---\nname: agent-secrets\ndescription: \S.{50,1000}\n---\n/)
  })

  it("shows how to use, add, revoke and scan for secrets", () => {
    const shown = lines.map((line) => line.split(" ")[1])
    for (const name of ["exec", "lease", "revoke", "add", "scan", "list", "status"]) assert.include(shown, name)
  })

  it("shows only commands that exist", () => {
    const unknown = lines.filter((line) => !Object.hasOwn(commands, line.split(" ")[1] ?? ""))
    assert.deepStrictEqual(unknown, [])
  })

  for (const line of new Set(lines)) {
    const [, name = "", ...args] = line.split(" ")
    const load = commands[name]
    if (load === undefined) continue
    it.effect(`has a valid command line: ${line}`, () =>
      Effect.gen(function* () {
        const command: Command<never> = yield* Effect.promise(load)
        const parsed = command.parse(args)
        assert.strictEqual(parsed.kind, "run", parsed.kind === "usage-error" ? parsed.problem.message : name)
      })
    )
  }
})
