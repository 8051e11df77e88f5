/**
 * The plan of the check on a Mac: it asks everything that is assumed there, in shell lines that
 * parse, and it expects what the fake launchctl answers.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { macSteps } from "../../scripts/macSteps.ts"
import { answerLaunchctl, emptyLaunchd, type LaunchdState } from "../support/launchctlAnswers.ts"

const loaded = { loaded: "a property list", pid: 4242 }

describe("the check on a Mac", () => {
  it("asks everything that is assumed of one", () => {
    const lines = macSteps.map(({ line }) => line).join("\n")
    for (const asked of [
      "plutil -lint",
      "sysctl kern.maxfiles",
      "scutil --get",
      "sudo -n printenv HOME",
      "daemon install --config",
      "daemon restart",
      "kickstart -k",
      "kill -9",
      "print-disabled",
      "launchctl disable",
      "bootout --wait",
      "exec --mask",
      "mkfifo",
      "connections 600",
      "flushes 1000",
      "time secrets lease",
      "dseditgroup",
      "sysadminctl",
      "sudo -n -H -u",
      "daemon install --system",
      "daemon uninstall"
    ]) {
      assert.include(lines, asked)
    }
    assert.strictEqual(new Set(macSteps.map(({ name }) => name)).size, macSteps.length)
  })

  it("consists of shell lines that parse", () => {
    const script = macSteps.map(({ line }, at) => `step_${at}() {\n${line}\n}`).join("\n")
    const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" })
    assert.deepStrictEqual([status, stderr], [0, ""])
  })

  it("expects of launchctl what the fake one answers", () => {
    const states: Readonly<Record<string, Partial<LaunchdState>>> = {
      "print, unknown label": {},
      "print, no domain": { hasDomain: false },
      "bootout, unknown label": {},
      "bootout, unknown label, by its file": {},
      "kickstart, unknown label": {},
      "print, running": loaded,
      "bootout --wait": loaded,
      "kickstart, running": loaded,
      "bootstrap, loaded": loaded,
      "print, after that": loaded,
      "print, uninstalled": {}
    }
    const alone = macSteps.filter(({ line, part }) => part === "user" && /^launchctl [^;|&]+$/.test(line))
    assert.deepStrictEqual(alone.map(({ name }) => name).toSorted(), Object.keys(states).toSorted())
    for (const { line, name, output, status } of alone) {
      const words = line.replaceAll('"', "").split(" ").slice(1)
      const answer = answerLaunchctl(words, { ...emptyLaunchd, ...states[name] }, 0, () => "a property list")
      if (status !== undefined) assert.include(status, answer.status, name)
      if (output !== undefined) assert.match(answer.stdout, output, name)
    }
  })
})
