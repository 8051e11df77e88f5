/**
 * The runtime options and variables that are rejected, accepted or suspicious. A refusal
 * names the option, but not its value.
 */
import { assert, describe, it } from "@effect/vitest"
import { unsafeRuntimeOptions } from "../../../../src/cli/commands/serve/unsafeRuntimeOptions.ts"

const refusal = (environment: Record<string, string>, execArgv: ReadonlyArray<string> = []) =>
  unsafeRuntimeOptions({ execArgv, environment }).refusal

describe("unsafeRuntimeOptions", () => {
  for (const options of [
    "--require /tmp/evil.cjs",
    "--require=/tmp/evil.cjs",
    "-r /tmp/evil.cjs",
    "-r/tmp/evil.cjs",
    '"--require" "/tmp/e v i l.cjs"',
    '"--re\\quire" x',
    "  --import=data:text/javascript,1",
    "--loader x",
    "--experimental-loader x",
    "--experimental_loader x",
    "--max-old-space-size=64 --inspect",
    "--inspect=0.0.0.0:9229",
    "--inspect_brk",
    "--inspect-port=1",
    "--debug-port=1",
    "--no-disable-sigusr1",
    "--heapsnapshot-signal=SIGUSR2",
    "--heapsnapshot-near-heap-limit=1",
    "--report-on-signal",
    "--report-uncaught-exception",
    "--report-on-fatalerror",
    "--diagnostic-dir=/tmp",
    "--cpu-prof",
    "--heap-prof",
    "--abort-on-uncaught-exception",
    "--trace-sync-io",
    "--tls-keylog=/tmp/keys",
    "--openssl-config=/tmp/evil.cnf",
    "--snapshot-blob=/tmp/blob",
    "--conditions=evil",
    "-C evil",
    "--experimental-anything",
    "--an-option-of-tomorrow"
  ]) {
    it(`rejects NODE_OPTIONS=${options}`, () => {
      assert.include(refusal({ NODE_OPTIONS: options })?.reason, "in NODE_OPTIONS")
    })
  }

  it("rejects BUN_OPTIONS, which Bun also reports in execArgv", () => {
    const execArgv = ["--preload", "./evil.js"]
    assert.include(refusal({ BUN_OPTIONS: "--preload ./evil.js" }, execArgv)?.reason, "--preload in BUN_OPTIONS")
  })

  for (const execArgv of [["--inspect"], ["--env-file=.env"], ["-r", "./evil.cjs"], ["--no-warnings", "--watch"]]) {
    it(`rejects ${execArgv.join(" ")} on the command line`, () => {
      assert.include(refusal({}, execArgv)?.reason, "on the command line")
    })
  }

  for (const name of [
    "NODE_V8_COVERAGE",
    "NODE_COMPILE_CACHE",
    "NODE_DEBUG",
    "NODE_DEBUG_NATIVE",
    "BUN_INSPECT",
    "BUN_INSPECT_CONNECT_TO",
    "BUN_INSPECT_PRELOAD",
    "BUN_JSC_useDollarVM"
  ]) {
    it(`rejects ${name} in the environment`, () => {
      assert.include(refusal({ [name]: "something" })?.reason, name)
      assert.include(refusal({ [name]: "something" })?.fix, `env -u ${name}`)
    })
  }

  it("names the rejected option but not its value", () => {
    assert.deepStrictEqual(refusal({ NODE_OPTIONS: "--no-warnings --require=/home/me/evil.cjs" }), {
      reason:
        "unsafe runtime option --require in NODE_OPTIONS: it may open a debugger, load code or write memory to disk",
      fix: "Unset it: env -u NODE_OPTIONS secrets serve"
    })
  })

  for (const options of [
    "",
    "   ",
    "--disable-sigusr1",
    "--disable_sigusr1",
    "--max-old-space-size=512 --no-warnings",
    "--max_old_space_size=512",
    '"--dns-result-order" "ipv4first"',
    "--dns-result-order ipv4first --use-system-ca"
  ]) {
    it(`accepts NODE_OPTIONS=${JSON.stringify(options)}`, () => {
      assert.isUndefined(refusal({ NODE_OPTIONS: options }))
    })
  }

  it("accepts the options of the launchd job, and empty variables", () => {
    assert.isUndefined(refusal({ NODE_OPTIONS: "", NODE_V8_COVERAGE: "", NODE_PATH: "/tmp" }, ["--disable-sigusr1"]))
  })

  it("accepts LD_PRELOAD, and reports it as suspicious", () => {
    const { refusal: refused, suspicious } = unsafeRuntimeOptions({
      execArgv: [],
      environment: { LD_PRELOAD: "/tmp/evil.so", LD_AUDIT: "", DYLD_INSERT_LIBRARIES: "x" }
    })
    assert.isUndefined(refused)
    assert.deepStrictEqual(suspicious, ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES"])
  })
})
