/**
 * Every call of `secrets` in the docs and in the skill is a valid command line.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Command } from "../../src/cli/command/Command.ts"
import { findCommand } from "../../src/cli/command/Command.ts"
import { allSpecs, commands } from "../../src/cli/commands.ts"
import { blocksOf, callsIn, pages, root, runElsewhere, runPages, typedIn } from "../support/markdown.ts"

const callsOf = (page: string) => callsIn(blocksOf(page).map(typedIn).join("\n"))

/** No arguments of a command: the program's own flags. */
const own = ["--version", "--help", "help"]

describe("the docs", () => {
  for (const page of pages) {
    it.effect(`have valid command lines in ${page}`, () =>
      Effect.gen(function* () {
        for (const words of callsOf(page)) {
          if (own.includes(words[0] ?? "")) continue
          const line = `secrets ${words.join(" ")}`
          const { name = "", rest } = findCommand(words)
          const load = commands[name]
          if (load === undefined) return assert.fail(`no such command: ${line}`)
          const command: Command<never> = yield* Effect.promise(load)
          const parsed = command.parse(rest)
          assert.notStrictEqual(
            parsed.kind,
            "usage-error",
            parsed.kind === "usage-error" ? `${line}: ${parsed.problem.message}` : line
          )
        }
      })
    )
  }

  it("have a page for each job, whose commands are run, or say why not", () => {
    const index = fs.readFileSync(path.join(root, "docs/README.md"), "utf8")
    const [, jobs = ""] = index.split(/^\| you .*\n/m)
    const listed = [...jobs.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, name = ""]) => `docs/${name}`)
    assert.isAbove(listed.length, 8)
    const unknown = ["README.md", ...listed]
      .filter((page) => !Object.hasOwn(runPages, page) && !runElsewhere.includes(page))
      .flatMap((page) => blocksOf(page).map((block) => ({ page, ...block })))
      .filter((block) => block.notRun === undefined && /^(sh|bash|console)$/.test(block.language))
    assert.deepStrictEqual(unknown, [])
  })

  it("are all in the index", () => {
    const index = fs.readFileSync(path.join(root, "docs/README.md"), "utf8")
    const names = pages.flatMap((page) => (page.startsWith("docs/") ? [page.slice("docs/".length)] : []))
    assert.deepStrictEqual(
      names.filter((name) => name !== "README.md" && !index.includes(`](${name})`)),
      []
    )
  })

  it("name flags as they are spelled now", async () => {
    const former = (await allSpecs()).flatMap(({ flags }) =>
      Object.values(flags).flatMap((flag) => flag.formerly ?? [])
    )
    assert.isAbove(former.length, 0)
    for (const page of pages.filter((name) => name !== "docs/settings.md")) {
      const text = fs.readFileSync(path.join(root, page), "utf8")
      for (const flag of former) assert.notMatch(text, new RegExp(`--${flag}(?![\\w-])`), page)
    }
  })

  it("create ~/.local/bin before they put a program there, which a new account lacks", () => {
    for (const page of pages) {
      const text = fs.readFileSync(path.join(root, page), "utf8")
      for (const [line] of text.matchAll(/^.*(?:install|ln|cp) -.*~\/\.local\/bin.*$/gm))
        assert.match(line, /mkdir -p ~\/\.local\/bin && /, page)
    }
  })

  it("link to files that exist", () => {
    for (const page of pages) {
      const text = fs.readFileSync(path.join(root, page), "utf8")
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
        assert.isTrue(fs.existsSync(path.join(root, path.dirname(page), target)), `${page}: ${target}`)
      }
    }
  })
})

describe("callsIn", () => {
  for (const [shell, calls] of [
    ["secrets list   # a comment", ["list"]],
    ["bin/secrets lease 'a b' > file 2>&1", ["lease a b"]],
    ["printf x | secrets add a && sudo -u you secrets status", ["add a", "status"]],
    ['TOKEN="$(secrets lease db)"; secrets audit', ["audit"]],
    ["value=$(secrets lease db --ttl 5m)", ["lease db --ttl 5m"]],
    ["cat ~/secrets; echo secrets list", []]
  ] as const) {
    it(`finds the calls in: ${shell}`, () =>
      assert.deepStrictEqual(
        callsIn(shell).map((words) => words.join(" ")),
        [...calls]
      ))
  }
})

describe("the skill", () => {
  it("has a name and a description", () => {
    const skill = fs.readFileSync(path.join(root, "skills/agent-secrets/SKILL.md"), "utf8")
    assert.match(skill, /^---\nname: agent-secrets\ndescription: \S.{50,1000}\n---\n/)
  })

  it("shows how to use, add, revoke and scan for secrets", () => {
    const shown = callsOf("skills/agent-secrets/SKILL.md").map(([name]) => name)
    for (const name of ["exec", "lease", "revoke", "add", "scan", "list", "status"]) assert.include(shown, name)
  })
})
