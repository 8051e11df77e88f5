/**
 * Runtime options and variables that `serve` rejects, and core dumps that it disables.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { hasProc } from "../support/inside.ts"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { isScript, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const withOption = (option: string) => `node=$1; shift; exec "$node" ${option} "$@"`

describe("serve with an unsafe runtime", () => {
  for (const [options, named] of [
    ["--require=$HOME/evil.cjs", "--require in NODE_OPTIONS"],
    ['"--import" "$HOME/evil.cjs"', "--import in NODE_OPTIONS"],
    ["--inspect=127.0.0.1:0", "--inspect in NODE_OPTIONS"],
    ["--report-on-signal --report-signal=SIGUSR2", "--report-on-signal in NODE_OPTIONS"]
  ] as const) {
    it.live(`does not start with NODE_OPTIONS=${options}`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        fs.writeFileSync(path.join(home, "evil.cjs"), "")
        const ended = yield* run(["serve"], { home, env: { NODE_OPTIONS: options.replaceAll("$HOME", home) } })
        assert.deepStrictEqual([ended.status, ended.stdout], [78, ""])
        assert.include(ended.stderr, `secrets serve: unsafe runtime option ${named}`)
        assert.include(ended.stderr, "env -u NODE_OPTIONS secrets serve")
        assert.isFalse(fs.existsSync(path.join(home, ".agent-secrets")))
      })
    )
  }

  it.live.runIf(isScript)("does not start with an option on the command line of Node", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const ended = yield* run(["serve"], { home, through: withOption("--inspect=127.0.0.1:0") })
      assert.strictEqual(ended.status, 78)
      assert.include(ended.stderr, "unsafe runtime option --inspect on the command line")
    })
  )

  for (const name of ["NODE_V8_COVERAGE", "NODE_COMPILE_CACHE", "NODE_DEBUG", "BUN_INSPECT_PRELOAD"]) {
    it.live(`does not start with ${name} in the environment`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const ended = yield* run(["serve"], { home, env: { [name]: path.join(home, "stream") } })
        assert.strictEqual(ended.status, 78)
        assert.include(ended.stderr, `unsafe environment variable ${name}`)
        assert.isFalse(fs.existsSync(path.join(home, ".agent-secrets")))
      })
    )
  }
})

describe("serve with a safe runtime", () => {
  it.live.runIf(isScript)("starts with allowed options and any NODE_PATH, and warns about LD_PRELOAD", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const env = { NODE_OPTIONS: "--max-old-space-size=512", NODE_PATH: home, LD_PRELOAD: "" }
      fs.writeFileSync(path.join(home, "fs.js"), "process.exit(9)")
      const daemon = yield* startDaemon({ home, env, through: withOption("--disable-sigusr1") })
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.running, true)
      assert.notInclude(daemon.stderr(), "other code may be loaded")
      yield* daemon.stop()
      const warned = yield* startDaemon({ home, env: { LD_PRELOAD: "/nonexistent/library.so" } })
      assert.match(warned.stderr(), /level=WARN .*LD_PRELOAD is set: other code may be loaded/)
    })
  )

  it.live("starts with core dumps disabled", () =>
    Effect.gen(function* () {
      if (!hasProc) return
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home, through: 'ulimit -c unlimited 2>/dev/null; exec "$@"' })
      const read = (file: string) => fs.readFileSync(`/proc/${daemon.pid}/${file}`, "utf8")
      assert.match(read("coredump_filter"), /^0+\n$/)
      if (!hasPrlimit()) return
      yield* until(() => /^Max core file size +0 +0 /m.test(read("limits")))
    })
  )
})

describe("other commands", () => {
  it.live("accept every option and variable", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const ended = yield* run(["--version"], {
        home,
        env: { NODE_OPTIONS: "--trace-warnings", NODE_V8_COVERAGE: home }
      })
      assert.strictEqual(ended.status, 0)
    })
  )
})

const hasPrlimit = (): boolean => {
  try {
    execFileSync("prlimit", ["--version"], { env: { PATH: "/usr/bin:/bin" }, stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
