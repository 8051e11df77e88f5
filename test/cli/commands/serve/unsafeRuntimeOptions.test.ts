import { assert, describe, it } from "@effect/vitest"
import { unsafeRuntimeOptions } from "../../../../src/cli/commands/serve/unsafeRuntimeOptions.ts"

const refusal = (environment: Record<string, string>, execArgv: ReadonlyArray<string> = []) =>
  unsafeRuntimeOptions({ execArgv, environment }).refusal

describe("a daemon is not started", () => {
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
    it(`with NODE_OPTIONS=${options}`, () => {
      assert.include(refusal({ NODE_OPTIONS: options })?.reason, "by NODE_OPTIONS")
    })
  }

  it("with BUN_OPTIONS, which the binary has among its own options too", () => {
    const execArgv = ["--preload", "./evil.js"]
    assert.include(refusal({ BUN_OPTIONS: "--preload ./evil.js" }, execArgv)?.reason, "--preload by BUN_OPTIONS")
  })

  for (const execArgv of [["--inspect"], ["--env-file=.env"], ["-r", "./evil.cjs"], ["--no-warnings", "--watch"]]) {
    it(`with ${execArgv.join(" ")} on the command line`, () => {
      assert.include(refusal({}, execArgv)?.reason, "by the command line")
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
    it(`with ${name}`, () => {
      assert.include(refusal({ [name]: "something" })?.reason, name)
      assert.include(refusal({ [name]: "something" })?.fix, `env -u ${name}`)
    })
  }

  it("and is told the option but not its value, which may be anything", () => {
    assert.deepStrictEqual(refusal({ NODE_OPTIONS: "--no-warnings --require=/home/me/evil.cjs" }), {
      reason:
        "Node was given the option --require by NODE_OPTIONS; the daemon takes none that could open it, load code into it or write its memory down",
      fix: "Start it without them: env -u NODE_OPTIONS secrets serve"
    })
  })
})

describe("a daemon is started", () => {
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
    it(`with NODE_OPTIONS=${JSON.stringify(options)}`, () => {
      assert.isUndefined(refusal({ NODE_OPTIONS: options }))
    })
  }

  it("with the options of the launchd job, and with empty variables", () => {
    assert.isUndefined(refusal({ NODE_OPTIONS: "", NODE_V8_COVERAGE: "", NODE_PATH: "/tmp" }, ["--disable-sigusr1"]))
  })

  it("with a library put before it, of which it is told", () => {
    const { refusal: refused, suspicious } = unsafeRuntimeOptions({
      execArgv: [],
      environment: { LD_PRELOAD: "/tmp/evil.so", LD_AUDIT: "", DYLD_INSERT_LIBRARIES: "x" }
    })
    assert.isUndefined(refused)
    assert.deepStrictEqual(suspicious, ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES"])
  })
})
