/**
 * The commands in the docs are run as they stand: each page as one script, in a project of its
 * own, with one daemon for all of them. Programs of others are stand-ins that only succeed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { linesOf, picture, record, withoutChance } from "../../scripts/recording.ts"
import { commandVariables, shellWords } from "../harness/program.ts"
import { type Block, blocksOf, runPages } from "../support/markdown.ts"
import { emptiedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const emptied = emptiedDaemon()

const strangers = ["gh", "curl", "docker", "mysql", "npm", "restic"]

/** Values come from here where a person would type them: /dev/null is a device, a pipe or a file is not. */
const wrapper = `#!/bin/sh
case $1 in
  serve) exit 0 ;;
  add|update) [ -c /dev/stdin ] && exec ${shellWords} "$@" < "$HOME/typed" ;;
esac
exec ${shellWords} "$@"
`

/** The steps of a workflow, which are lines of shell with variables of their own. */
const stepsIn = (yaml: string): string =>
  [...yaml.matchAll(/^ +- run: (?:\|\n((?: {10}.*\n)+)|(.*)\n)(?: +env: \{ (\w+): .*\n)?/gm)]
    .map(([, lines, line = "", variable]) => {
      const script = lines ?? line
      return variable === undefined ? script : `${variable}=a-made-up-value; ${script}`
    })
    .join("\n")

/** Marks where the output of a line of a `console` block begins. */
const marker = "@typed "

const scriptOf = ({ language, text }: Block): string => {
  if (language === "yaml") return stepsIn(text)
  if (language === "json" && text.includes('"helpers"')) return `cat > ~/.agent-secrets/config.json <<'END'\n${text}END`
  if (language !== "console") return /^(sh|bash)$/.test(language) ? text : ""
  return text
    .split("\n")
    .flatMap((line) => (line.startsWith("$ ") ? [`echo '${marker}'; { ${line.slice(2)}\n} 2>&1`] : []))
    .join("\n")
}

/** What a `console` block shows below each line. */
const shownIn = ({ text }: Block): ReadonlyArray<string> =>
  text
    .split(/^\$ .*\n/m)
    .slice(1)
    .map(normalized)

const normalized = (text: string): string => text.trimEnd().split("\n").map(withoutChance).join("\n")

const runPage = (script: string, cwd: string, home: string, bin: string) =>
  Effect.promise(
    () =>
      new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
        const env = {
          HOME: home,
          // The launcher of a checkout takes its own Node, or the one that runs this.
          PATH: `${bin}:${path.dirname(process.execPath)}:/usr/bin:/bin`,
          GIT_CONFIG_GLOBAL: path.join(cwd, ".gitconfig"),
          ...commandVariables([])
        }
        const child = spawn("bash", ["-euo", "pipefail", "-c", script], { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
        const out = { stdout: "", stderr: "" }
        child.stdout.on("data", (piece) => (out.stdout += piece))
        child.stderr.on("data", (piece) => (out.stderr += piece))
        child.once("close", (status) => resolve({ status, ...out }))
      })
  )

describe("the commands of", () => {
  for (const [page, { files = [], secrets = [] }] of Object.entries(runPages)) {
    it.live(`${page} work as they stand`, () =>
      Effect.gen(function* () {
        const { call, home } = yield* emptied
        const project = yield* temporaryDirectory
        const bin = path.join(project, ".bin")
        fs.mkdirSync(bin)
        fs.writeFileSync(path.join(bin, "secrets"), wrapper, { mode: 0o755 })
        for (const name of strangers)
          fs.writeFileSync(path.join(bin, name), "#!/bin/sh\n[ -t 0 ] || cat > /dev/null\n", { mode: 0o755 })
        fs.writeFileSync(path.join(home, "typed"), "a-made-up-value\n")
        for (const name of files) fs.writeFileSync(path.join(project, name), "MADE_UP=another-value\n")
        for (const name of secrets) yield* call("add", { name, value: "a-made-up-value" })

        const blocks = blocksOf(page).filter(({ notRun }) => notRun === undefined)
        const script = ["git init -q", "mkdir -p ~/.aws", ...blocks.map(scriptOf)].join("\n")
        const { status, stderr, stdout } = yield* runPage(script, project, home, bin)
        assert.strictEqual(status, 0, `${stdout}\n${stderr}`)
        const expected = blocks.filter(({ language }) => language === "console").flatMap(shownIn)
        const shown = stdout.split(`${marker}\n`).slice(1).map(normalized)
        assert.deepStrictEqual(shown.slice(0, expected.length), expected)
      })
    )
  }
})

describe("the picture in README.md", () => {
  it.live("shows what the program prints now: npm run recording", () =>
    Effect.gen(function* () {
      const { home } = yield* emptied
      const drawn = linesOf(fs.readFileSync(picture, "utf8")).map(withoutChance)
      assert.deepStrictEqual((yield* Effect.promise(() => record(home))).map(withoutChance), drawn)
    })
  )
})
