/**
 * Every command: its help, its examples and its usage errors; and the docs and
 * completion scripts that are generated from its spec.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { readme, reference, referenceText, renewed } from "../../scripts/commandsTable.ts"
import { manualPage, manualText } from "../../scripts/manual.ts"
import { bashScript } from "../../src/cli/commands/completions/bashScript.ts"
import { allFlags, unlimited } from "../../src/cli/command/Command.ts"
import { commandHelp, helpLines } from "../../src/cli/command/help.ts"
import { displayWidth } from "../../src/cli/terminal/displayWidth.ts"
import { allSpecs, commands } from "../../src/cli/commands.ts"
import { exitStatus } from "../../src/domain/exitStatus.ts"
import { fishScript } from "../../src/cli/commands/completions/fishScript.ts"
import { zshScript } from "../../src/cli/commands/completions/zshScript.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const specs = await allSpecs()

/** Returns the command line of an example, without pipes, redirections and comments. */
const lineIn = (example: string): ReadonlyArray<string> => {
  const [, line = ""] = /secrets ([^|&<>#")]*)/.exec(example) ?? []
  return line.trim().split(/\s+/)
}

describe("the generated docs", () => {
  const example = '{"secrets": [{"name": "github_token", "env_var": "GH_TOKEN", "ttl": "30m"}]}'

  it("keep an example in a description as a block of its own", async () => {
    assert.include(referenceText(), `above it:\n\n\`\`\`\n${example}\n\`\`\`\n\nOnly the owner`)
    assert.include(await manualText(), `above it:\n.Bd -literal -offset indent\n${example}\n.Ed\n.Pp\nOnly the owner`)
  })

  it("have the other names of a command, each with the flags that it stands for", async () => {
    for (const text of [referenceText(), await manualText()])
      assert.match(text, /Also: .{0,3}secrets set.{0,3} \(with .{0,9}update.{0,3}\)\./)
    const add = specs.find(({ name }) => name === "add")
    assert.isDefined(add)
    assert.include(commandHelp(add).lines ?? [], "Also:  secrets set (with --update)")
  })

  it("do not capitalise the name of a command, and list every exit status", async () => {
    const manual = await manualText()
    assert.include(manual, ".It 65\nserve: the store cannot be read.\n")
    for (const status of Object.values(exitStatus)) {
      assert.include(referenceText(), `\n| ${status} | `)
      assert.include(manual, `\n.It ${status}\n`)
    }
    assert.strictEqual(exitStatus.shutdownTimedOut, 70)
  })
})

it("shows all commands in 80 columns", () => {
  assert.deepStrictEqual(
    helpLines(specs).filter((line) => displayWidth(line) > 80),
    []
  )
})

describe("every command", () => {
  for (const spec of specs) {
    const parse = async (args: ReadonlyArray<string>) => {
      const command = await commands[spec.name]?.()
      return command?.parse(args)
    }

    it(`has a help that lists every flag: ${spec.name}`, async () => {
      const help = await parse(["--help"])
      assert.strictEqual(help?.kind, "help")
      const { lines = [] } = commandHelp(spec)
      const text = lines.join("\n")
      assert.include(text, `Usage: secrets ${spec.name}`)
      // The lines of a file are to be copied.
      const wide = lines.filter((line) => displayWidth(line) > 80 && !/^ {2,}[{"]/.test(line))
      assert.deepStrictEqual(wide, [])
      for (const [name] of allFlags(spec)) assert.include(text, `--${name}`)
      assert.deepStrictEqual(await parse(["-h"]), help)
    })

    it(`has valid examples: ${spec.name}`, async () => {
      assert.isAbove(spec.examples.length, 0)
      for (const example of spec.examples) {
        const [name, ...rest] = lineIn(example)
        assert.strictEqual(name, spec.name, example)
        assert.strictEqual((await parse(rest))?.kind, "run", example)
      }
    })

    it(`reports usage errors without quoting arguments: ${spec.name}`, async () => {
      for (const line of [["--nonsense"], Array(20).fill("hush-hush"), ["--help=yes"]]) {
        const correction = await parse([...line, "--json"])
        if (line.length === 20 && spec.arity[1] === unlimited) continue
        assert.strictEqual(correction?.kind, "usage-error", line.join(" "))
        if (correction?.kind !== "usage-error") continue
        assert.deepInclude(correction, { json: true })
        assert.deepInclude(correction.problem, { code: "misuse", exitStatus: 2 })
        assert.notInclude(JSON.stringify(correction.problem), "hush-hush")
      }
    })
  }
})

describe("the specs of the commands", () => {
  it("survive JSON, which the build uses to bundle them", () => {
    const data: unknown = JSON.parse(JSON.stringify(specs))
    const isData = ([, value]: readonly [string, unknown]) => typeof value !== "function"
    assert.deepStrictEqual(
      data,
      specs.map((spec) => Object.fromEntries(Object.entries(spec).filter(isData)))
    )
  })

  it("have the names by which the commands are loaded", () => {
    assert.deepStrictEqual(
      specs.map(({ name }) => name),
      Object.keys(commands)
    )
  })
})

describe("the docs of the commands", () => {
  it("are up to date", async () => {
    const text = fs.readFileSync(readme, "utf8")
    assert.strictEqual(text, renewed(text), "npm run docs")
    assert.strictEqual(fs.readFileSync(reference, "utf8"), referenceText(), "npm run docs")
    assert.strictEqual(fs.readFileSync(manualPage, "utf8"), await manualText(), "npm run docs")
  })

  it("contain every command and every flag in the manual page", async () => {
    const page = await manualText()
    for (const spec of specs) {
      assert.include(page, `.Ss "secrets ${spec.name}`)
      for (const [name] of allFlags(spec)) assert.include(page, `Fl -${name}`)
    }
    // A line that begins with a dot is a request; those that are not of mdoc would be left out in silence.
    for (const line of page.split("\n").filter((one) => one.startsWith("."))) {
      assert.match(line, /^\.(\\"|[A-Z][a-z]( |$))/)
    }
  })
})

/** Finds no completions of other programs: it would read hundreds of files. */
const compinit =
  "autoload -Uz +X compinit; ln -s ${functions_source[compinit]:h}/comp* ~; fpath=(~); autoload -Uz compinit; compinit -D -i;"

describe("the completion scripts", () => {
  for (const [shell, make, check] of [
    ["bash", bashScript, ["-n"]],
    ["zsh", zshScript, ["-f", "-n"]],
    ["fish", fishScript, ["--no-execute"]]
  ] as const) {
    it(`contain every command and every visible flag for ${shell}`, () => {
      const script = make(specs)
      for (const spec of specs) {
        assert.include(script, spec.name)
        for (const [name] of allFlags(spec)) assert.match(script, new RegExp(`--${name}\\b|-l ${name}\\b`))
      }
      assert.notInclude(script, "no-update-check\\n")
    })

    it.effect(`have valid syntax for ${shell}, if it is installed`, () =>
      Effect.gen(function* () {
        const file = path.join(yield* temporaryDirectory, "script")
        fs.writeFileSync(file, make(specs))
        const { error, status, stderr } = spawnSync(shell, [...check, file])
        if (error === undefined) assert.deepStrictEqual([status, String(stderr)], [0, ""])
      })
    )
  }

  for (const [when, before, after] of [
    ["without compinit", "", ""],
    ["before compinit", "", compinit],
    ["after compinit", compinit, ""]
  ] as const) {
    it.effect(`register themselves in zsh ${when}, if it is installed`, () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const file = path.join(directory, "script")
        fs.writeFileSync(file, zshScript(specs))
        // What zsh does before its first prompt.
        const prompt = "for function in $precmd_functions; do $function; done; print $_comps[secrets]"
        const { error, status, stderr, stdout } = spawnSync(
          "zsh",
          ["-f", "-c", `${before} eval "$(<'${file}')"; ${after} ${prompt}`],
          { encoding: "utf8", env: { HOME: directory, PATH: "/usr/bin:/bin" } }
        )
        if (error === undefined) assert.deepStrictEqual([status, stdout, stderr], [0, "_secrets\n", ""])
      })
    )
  }
})
