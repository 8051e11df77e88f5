/**
 * The npm package: what is in it, and that it installs, runs and is removed without a network, by the
 * commands of the docs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import manifest from "../../package.json" with { type: "json" }
import { startDaemon } from "../harness/daemon.ts"
import { isScript, run } from "../harness/program.ts"
import { blocksOf, root } from "../support/markdown.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** Every file below a directory that the program consists of. */
const contentsOf = (directory: string): ReadonlyArray<readonly [name: string, text: string]> =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted()
    .map((file) => [path.relative(directory, file), fs.readFileSync(file, "latin1")])

/** Copies what `npm pack` takes: dist as the build leaves it, without the binary, and the documents. */
const copySource = (to: string): void => {
  for (const name of [
    "package.json",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs",
    "skills",
    "dist"
  ]) {
    fs.cpSync(path.join(root, name), path.join(to, name), {
      recursive: true,
      filter: (file) => !file.startsWith(path.join(root, "dist/")) || /\.[cm]js$/.test(file)
    })
  }
}

/** The block of a page that has this text. */
const blockWith = (page: string, text: string): string =>
  blocksOf(page).find((block) => block.text.includes(text))?.text ?? assert.fail(`${page} has no ${text}`)

/** Runs lines of shell with the new program on the PATH, and npm without a network. */
const shellIn = (home: string, cwd: string) => (script: string) => {
  const { status, stderr, stdout } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    encoding: "utf8",
    env: {
      HOME: home,
      PATH: `${home}/.local/bin:${path.dirname(process.execPath)}:${process.env["PATH"]}`,
      npm_config_cache: path.join(home, "cache"),
      npm_config_offline: "true",
      npm_config_ignore_scripts: "true",
      npm_config_update_notifier: "false"
    }
  })
  assert.strictEqual(status, 0, `${script}\n${stdout}\n${stderr}`)
  return stdout
}

/** Renders the page as man(1) finds it, where it is installed. */
const checkManual = (prefix: string): void => {
  const page = path.join(prefix, "share/man/man1/secrets.1")
  assert.strictEqual(fs.readFileSync(page, "utf8"), fs.readFileSync(path.join(root, "docs/secrets.1"), "utf8"))
  const env = { PATH: `${prefix}/bin:/usr/bin:/bin`, LC_ALL: "C", MANWIDTH: "80" }
  const { error, status, stderr, stdout } = spawnSync("man", ["--warnings", "secrets"], { encoding: "utf8", env })
  if (error !== undefined || process.platform !== "linux") return
  assert.deepStrictEqual([status, stderr], [0, ""])
  assert.include(stdout, "keep secrets encrypted and lease them to agents and workers")
}

describe.runIf(isScript)("the npm package", () => {
  it.live("holds the program and its documents, installs without a network, runs, and is removed", () =>
    Effect.gen(function* () {
      const home = path.join(yield* temporaryDirectory, "a home")
      const [source, prefix] = [path.join(home, "source"), path.join(home, ".local")]
      copySource(source)
      const shell = shellIn(home, source)
      shell(blockWith("docs/install.md", "npm pack\n"))
      const installed = path.join(prefix, "lib/node_modules/agent-secrets")
      const names = contentsOf(installed).map(([name]) => name)
      assert.includeMembers(
        [...names],
        [
          "dist/secrets.mjs",
          "dist/main.cjs",
          "dist/serve.cjs",
          "docs/secrets.1",
          "skills/agent-secrets/SKILL.md",
          "LICENSE"
        ]
      )
      const wanted =
        /^(dist\/[\w-]+\.[cm]js|docs\/[\w./-]+|skills\/[\w./-]+|(README|CHANGELOG|SECURITY)\.md|LICENSE|package\.json)$/
      assert.deepStrictEqual(
        names.filter((name) => !wanted.test(name)),
        []
      )
      const program = path.join(prefix, "bin/secrets")
      assert.isTrue(fs.statSync(program).mode % 0o1000 === 0o755)
      checkManual(prefix)
      shell(blockWith("docs/agents.md", ".claude/skills"))
      assert.isTrue(fs.existsSync(path.join(home, ".claude/skills/agent-secrets/SKILL.md")))
      for (const { language, text } of blocksOf("docs/install.md").filter(({ text }) => text.includes("completions ")))
        if (language !== "fish") shell(text)
        else if (spawnSync("fish", ["-v"]).error === undefined) shell(text)
      const options = {
        home,
        through: `shift 2; PATH="${path.dirname(process.execPath)}:$PATH"; exec '${program}' "$@"`
      }
      assert.strictEqual((yield* run(["--version"], options)).stdout, `${manifest.version}\n`)
      const before = contentsOf(prefix)
      const daemon = yield* startDaemon(options)
      for (const [args, stdin, stdout] of [
        [["add", "db"], "value of db", 'added "db"\n'],
        [["lease", "db"], undefined, "value of db"]
      ] as const) {
        const ended = yield* run(args, { ...options, ...(stdin === undefined ? {} : { stdin }) })
        assert.deepStrictEqual([ended.status, ended.stdout, ended.stderr], [0, stdout, ""])
      }
      // No compiled copy of the program, which nothing would compare with it.
      assert.deepStrictEqual(contentsOf(prefix), before)
      for (const [name, text] of before) assert.notMatch(text, /compileCache|cachedData/, name)

      const uninstall = blockWith("docs/uninstall.md", "npm uninstall")
      shell(uninstall.replace("secrets daemon uninstall", `kill ${daemon.pid}`))
      assert.deepStrictEqual(contentsOf(prefix), [])
    })
  )
})
