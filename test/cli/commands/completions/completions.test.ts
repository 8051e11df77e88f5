/**
 * The completion scripts in the shells of this machine: the command line of a program gets
 * the completions of that program.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { bashScript } from "../../../../src/cli/commands/completions/bashScript.ts"
import { fishScript } from "../../../../src/cli/commands/completions/fishScript.ts"
import { zshScript } from "../../../../src/cli/commands/completions/zshScript.ts"
import { allSpecs } from "../../../../src/cli/commands.ts"
import { auditActions } from "../../../../src/domain/auditActions.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const specs = await allSpecs()

/** Runs a script in a directory with the file `note.txt` and the program `frobnicate`. */
const runIn = (shell: string, options: ReadonlyArray<string>, script: string) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    fs.writeFileSync(path.join(directory, "note.txt"), "")
    fs.writeFileSync(path.join(directory, "frobnicate"), "#!/bin/sh\n", { mode: 0o755 })
    fs.writeFileSync(path.join(directory, "secrets"), "#!/bin/sh\necho github_token\n", { mode: 0o755 })
    const { status, stderr, stdout } = spawnSync(shell, [...options, "-c", script], {
      cwd: directory,
      env: { HOME: directory, PATH: `${directory}:/usr/local/bin:/usr/bin:/bin` },
      encoding: "utf8"
    })
    assert.deepStrictEqual([status, stderr], [0, ""], shell)
    return stdout.trimEnd().split("\n")
  })

const has = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0

/** Command lines, and the words that may come next. */
const lines: ReadonlyArray<readonly [line: string, words: ReadonlyArray<string>]> = [
  ["secrets exec -- frobn", ["frobnicate"]],
  ["secrets exec frobn", ["frobnicate"]],
  ["secrets exec ./frobn", ["./frobnicate"]],
  ["secrets exec -- cat not", ["note.txt"]],
  ["secrets exec cat not", ["note.txt"]],
  ["secrets exec --mask --secret a=B -- cat not", ["note.txt"]],
  ["secrets exec -- demo on", ["one", "only"]],
  ["secrets exec --secret exec demo x --mas", ["--master"]],
  ["secrets exec --mas", ["--mask"]],
  ["secrets run -- frobn", ["frobnicate"]],
  ["secrets run --mask cat not", ["note.txt"]],
  ["secrets exec --proxy gith", ["github_token"]],
  ["secrets exec --proxy github,gith", ["github,github_token"]],
  ["secrets proxy ch", ["check"]],
  ["secrets proxy check gith", ["github_token"]],
  ["secrets audit --action lease_a", ["lease_acquire", "lease_adopt"]],
  ["secrets policy ch", ["check"]],
  ["secrets policy explain gith", ["github_token"]],
  ["secrets policy --via mcp explain gith", ["github_token"]],
  ["secrets policy explain db --via exe", ["exec"]]
]

describe("a completion script", () => {
  it("knows every action of the audit log", () => {
    const script = bashScript(specs)
    for (const action of auditActions) assert.include(script, action)
  })

  it.effect("completes the line of a program in bash", () =>
    Effect.gen(function* () {
      const printed = yield* runIn(
        "bash",
        ["--norc"],
        `${bashScript(specs)}
compopt() { return 1; }
_demo() { COMPREPLY=($(compgen -W 'one only two --master' -- "$2")); }
complete -F _demo demo
try() {
  COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:' COMPREPLY=()
  read -ra COMP_WORDS <<<"\${1//=/ = }"
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _secrets secrets
  echo "\${COMPREPLY[*]}"
}
${lines.map(([line]) => `try '${line}'`).join("\n")}`
      )
      assert.deepStrictEqual(
        printed,
        lines.map(([, words]) => words.join(" "))
      )
    })
  )

  if (has("fish")) {
    it.effect("completes the line of a program in fish", () =>
      Effect.gen(function* () {
        const tries = lines.map(([line]) => `echo (complete -C '${line}' | string replace -r '\\t.*' '')`)
        const printed = yield* runIn(
          "fish",
          ["--no-config"],
          `${fishScript(specs)}
complete -c demo -f -a 'one only two'
complete -c demo -l master
${tries.join("\n")}`
        )
        assert.deepStrictEqual(
          printed,
          lines.map(([, words]) => words.join(" "))
        )
      })
    )
  }

  if (has("zsh")) {
    it.effect("registers itself in zsh before or after compinit, or without one", () =>
      Effect.gen(function* () {
        const printed = yield* runIn(
          "zsh",
          ["-f"],
          `script=$(cat <<'END'
${zshScript(specs)}
END
)
eval "$script"
print $+functions[compdef]
for step in $precmd_functions; do $step; done
print $_comps[secrets] $#precmd_functions
unset "_comps[secrets]"
eval "$script"
print $_comps[secrets] $#precmd_functions
_normal() { print $words $CURRENT }
words=(-- demo on) CURRENT=3
_secrets_program`
        )
        assert.deepStrictEqual(printed, ["0", "_secrets 0", "_secrets 0", "demo on 2"])
      })
    )
  }
})
