/**
 * The commands of the service under a fake launchctl, with its recorded answers and times, and
 * with real daemons: upgrades through the window after a bootout, what `status` reports, and the
 * whole plan of the check on a Mac.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { installProgram, isScript, pause } from "../../harness/program.ts"
import { type FakeMac, fakeMac } from "../../support/fakeMac.ts"
import type { LaunchdState } from "../../support/launchctlAnswers.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"

type Log = ScenarioOptions["log"]

export const launchdRows = async ({ log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  if (!isScript) return [{ what: "not tried: another platform is pretended with Node alone", tried: 0, failed: 0 }]
  return [await upgrades(log), await giveUp(log), await states(log), checkOnMac(log)]
}

/** Uses a Mac with an installed service, and removes it. */
const onMac = async (use: (mac: FakeMac, home: string) => Promise<void>): Promise<void> => {
  const home = temporaryHome()
  const mac = fakeMac(home)
  try {
    await use(mac, home)
  } finally {
    mac.end()
    fs.rmSync(home, { recursive: true, force: true })
  }
}

const daemon = (mac: FakeMac, ...words: ReadonlyArray<string>) => Effect.runPromise(mac.daemon(...words))

/** Installs again with another setting, again and again, while launchd refuses the job for so many milliseconds. */
const upgrades = async (log: Log): Promise<Row> => {
  const windows = [0, 1_000, 3_000, 6_000]
  let failed = 0
  await onMac(async (mac, home) => {
    await daemon(mac, "install")
    for (const [at, cleanup] of windows.entries()) {
      mac.change({ cleanup })
      const config = path.join(home, `config-${at}.json`)
      fs.writeFileSync(config, "{}")
      const { status, stderr } = await daemon(mac, "install", "--config", config)
      if (status === 0 && (mac.state().loaded ?? "").includes(config)) continue
      failed += 1
      log(`an upgrade with ${cleanup} ms of cleaning up: ${status} ${stderr}`)
    }
  })
  return { what: "upgrades while launchd cleans up", tried: windows.length, failed }
}

/** launchd refuses the job for longer than the command waits: the old service has to run again. */
const giveUp = async (log: Log): Promise<Row> => {
  let failed = 0
  await onMac(async (mac, home) => {
    await daemon(mac, "install")
    const before = mac.state().loaded
    mac.change({ cleanup: 20_000 })
    const config = path.join(home, "config.json")
    fs.writeFileSync(config, "{}")
    const { status, stderr } = await daemon(mac, "install", "--config", config)
    let now = await daemon(mac, "status")
    // The service has been started again; it may not answer yet.
    for (let tries = 0; now.status !== 0 && tries < 20; tries += 1) {
      await pause(250)
      now = await daemon(mac, "status")
    }
    if (status === 1 && /all changes were undone/.test(stderr) && mac.state().loaded === before && now.status === 0)
      return
    failed = 1
    log(`an upgrade that launchd refuses: ${status} ${stderr}; then ${now.stdout}`)
  })
  return { what: "an upgrade that launchd refuses, undone", tried: 1, failed }
}

/** What `daemon status` says of a job whose daemon does not answer. */
const states = async (log: Log): Promise<Row> => {
  const expected: ReadonlyArray<readonly [Partial<LaunchdState>, RegExp]> = [
    [{ job: "crash loop" }, /^failing: the daemon exited \(exit status 5\)/],
    [{ job: "program missing" }, /^failing: .*could not be started/],
    [{ job: "setting invalid" }, /^failing: .*a setting is invalid/],
    [{ job: "bad signature" }, /^failing: .*OS_REASON_CODESIGNING[\s\S]*codesign/],
    [{ job: "being spawned" }, /^starting: /],
    [{ job: "never started" }, /^starting: /],
    [{ loaded: undefined }, /^not loaded: [\s\S]*secrets daemon start/],
    [{ hasDomain: false }, /^not loaded: [\s\S]*Log in on the screen/]
  ]
  let failed = 0
  await onMac(async (mac) => {
    await daemon(mac, "install")
    mac.end()
    const loaded = mac.state().loaded ?? ""
    for (const [changes, report] of expected) {
      mac.change({ loaded, job: "running", hasDomain: true, ...changes })
      const { stderr, stdout } = await daemon(mac, "status")
      if (report.test(stdout + stderr)) continue
      failed += 1
      log(`${JSON.stringify(changes)}: ${stdout}${stderr}`)
    }
  })
  return { what: "states of a job, as status reports them", tried: expected.length, failed }
}

/** Tools of a Mac that a step of the plan relies on, beside launchctl. */
const tools = { plutil: 'for f; do [ -f "$f" ] && echo "$f: OK"; done; true' }

/** Runs the plan of the check on a Mac, except for what needs an account. */
const checkOnMac = (log: Log): Row => {
  const home = temporaryHome()
  const mac = fakeMac(home)
  try {
    for (const [name, line] of Object.entries(tools)) {
      fs.writeFileSync(path.join(home, "stand-in", name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
    }
    const fake = path.join(import.meta.dirname, "../../support/runAsFakeUser.mjs")
    const run = `'${process.execPath}' '${fake}' darwin 501`
    const record = path.join(home, "record")
    const script = path.join(import.meta.dirname, "../../../scripts/macCheck.ts")
    const words = ["--program", installProgram(path.join(home, "installed")), "--record", record, "--run", run]
    spawnSync(process.execPath, [script, ...words], {
      env: { HOME: home, PATH: `${home}/stand-in:${path.dirname(process.execPath)}:/usr/bin:/bin` },
      stdio: "ignore"
    })
    const steps: ReadonlyArray<any> = JSON.parse(fs.readFileSync(path.join(record, "record.json"), "utf8"))
    const broken = steps.filter(({ held }) => held === false)
    for (const { name, status, stderr, stdout } of broken) log(`${name}: ${status} ${stdout}${stderr}`)
    return { what: "steps of the check on a Mac", tried: steps.length, failed: broken.length }
  } finally {
    mac.end()
    fs.rmSync(home, { recursive: true, force: true })
  }
}
