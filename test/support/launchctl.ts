/**
 * A fake launchctl that runs a daemon as its property list describes and restarts it, without
 * launchd's pause between starts. It keeps its state in the directory STAND_IN, and answers as
 * recorded (`launchctlAnswers`); a test changes state.json to choose another behavior.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { answerLaunchctl, emptyLaunchd, type LaunchdState } from "./launchctlAnswers.ts"

const at = (name: string) => path.join(process.env["STAND_IN"] ?? "", name)
/** Reads a file that may not exist; another process may write it. */
const readAt = (name: string) => (fs.existsSync(at(name)) ? fs.readFileSync(at(name), "utf8") : "")

/** A shell that starts the daemon again whenever it exits, and records its process. */
const keep = async (file: string): Promise<void> => {
  const { default: plist } = await import("plist")
  const job: any = plist.parse(fs.readFileSync(file, "utf8"))
  const line = `while :; do "$@" 2>>"$LOG" & echo $! >"$STAND_IN/pid"; wait $!; done`
  const child = spawn("/bin/sh", ["-c", line, "sh", ...job.ProgramArguments], {
    env: { ...job.EnvironmentVariables, LOG: job.StandardErrorPath, STAND_IN: process.env["STAND_IN"] },
    stdio: "ignore",
    detached: true
  })
  child.unref()
  fs.writeFileSync(at("keeper"), String(child.pid))
}

const words = process.argv.slice(2)
fs.appendFileSync(at("calls"), `${words.join(" ")}\n`)
const pid = Number(readAt("pid"))
const state: LaunchdState = {
  ...emptyLaunchd,
  ...JSON.parse(readAt("state.json") || "{}"),
  pid: pid > 0 ? pid : undefined
}
const wasLoaded = state.loaded !== undefined
const answer = answerLaunchctl(words, state, Date.now(), (file) => fs.readFileSync(file, "utf8"))
fs.writeFileSync(at("state.json"), JSON.stringify(state))
if (words[0] === "bootstrap" && answer.status === 0) await keep(words[2] ?? "")
if (words[0] === "bootout" && wasLoaded && answer.status === 0) {
  process.kill(-Number(readAt("keeper")), "SIGTERM")
  for (const name of ["keeper", "pid"]) fs.rmSync(at(name), { force: true })
}
if (words[0] === "kickstart" && words[1] === "-k" && answer.status === 0) process.kill(pid, "SIGTERM")
process.stdout.write(answer.stdout)
process.stderr.write(answer.stderr)
process.exitCode = answer.status
