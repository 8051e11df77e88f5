/**
 * The npm package: what is in it, and that it installs without a network and runs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { startDaemon } from "../harness/daemon.ts"
import { isScript, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const root = path.resolve(import.meta.dirname, "../..")

/** Every file below a directory that the program consists of. */
const contentsOf = (directory: string): ReadonlyArray<readonly [name: string, text: string]> =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted()
    .map((file) => [path.relative(directory, file), fs.readFileSync(file, "latin1")])

describe.runIf(isScript)("the npm package", () => {
  it.live("holds the program and its documents, installs without a network, and runs", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const npm = (...args: ReadonlyArray<string>) =>
        Effect.promise(() =>
          promisify(execFile)("npm", [...args, "--cache", path.join(home, "cache"), "--offline"], { cwd: root })
        )
      const packed = yield* npm("pack", "--ignore-scripts", "--json", "--pack-destination", home)
      const [{ filename, files }]: any = JSON.parse(packed.stdout)
      const names: ReadonlyArray<string> = files.map((file: { readonly path: string }) => file.path)
      assert.includeMembers([...names], ["dist/secrets.mjs", "dist/main.cjs", "docs/secrets.1", "LICENSE"])
      const wanted =
        /^(dist\/[\w-]+\.[cm]js|docs\/[\w./-]+|skills\/[\w./-]+|(README|CHANGELOG|SECURITY)\.md|LICENSE|package\.json)$/
      assert.deepStrictEqual(
        names.filter((name) => !wanted.test(name)),
        []
      )
      const prefix = path.join(home, "prefix with a space")
      yield* npm("install", "--global", "--prefix", prefix, path.join(home, filename))
      const installed = path.join(prefix, "bin/secrets")
      assert.isTrue(fs.statSync(installed).mode % 0o1000 === 0o755)
      const options = {
        home,
        through: `shift 2; PATH="${path.dirname(process.execPath)}:$PATH"; exec '${installed}' "$@"`
      }
      assert.match((yield* run(["--version"], options)).stdout, /^\d+\.\d+\.\d+\n$/)
      assert.include((yield* run(["--help"], options)).stdout, "secrets COMMAND")
      const before = contentsOf(prefix)
      yield* startDaemon(options)
      for (const [args, stdin, stdout] of [
        [["add", "db"], "value of db", 'added "db"\n'],
        [["lease", "db"], undefined, "value of db"]
      ] as const) {
        const ended = yield* run(args, { ...options, ...(stdin === undefined ? {} : { stdin }) })
        assert.deepStrictEqual([ended.status, ended.stdout, ended.stderr], [0, stdout, ""])
      }
      // No compiled copy of the program, which nothing would compare with it.
      assert.deepStrictEqual(contentsOf(prefix), before)
      assert.deepStrictEqual(
        fs.readdirSync(home).toSorted(),
        [".agent-secrets", "cache", filename, path.basename(prefix)].toSorted()
      )
      for (const [name, text] of before) assert.notMatch(text, /compileCache|cachedData/, name)
    })
  )
})
