/**
 * A fake systemctl that starts and stops a daemon as its unit describes, but never restarts
 * it. Keeps its state in the directory STAND_IN.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const directory = process.env["STAND_IN"] ?? ""
const [verb, ...rest] = process.argv.slice(2).filter((word) => word !== "--user")
const at = (name) => path.join(directory, name)
/** Reads a file that another process may remove. */
const read = (name) => {
  try {
    return fs.readFileSync(at(name), "utf8").trim()
  } catch {
    return undefined
  }
}
const unit = path.join(process.env["HOME"] ?? "", ".config/systemd/user/dev.agent-secrets.service")
const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis))

const start = async () => {
  if (read("pid") !== undefined) return
  const value = (name) => new RegExp(`^${name}=(.*)$`, "m").exec(fs.readFileSync(unit, "utf8"))?.[1] ?? ""
  const words = value("ExecStart").slice(1).split(" ")
  const env = Object.fromEntries(
    value("Environment")
      .split(" ")
      .map((pair) => pair.split("=", 2))
  )
  // A shell outlives this process and records the exit status of the daemon.
  const line = `"$@" 2>>"$D/log" & echo $! >"$D/pid.new"; mv "$D/pid.new" "$D/pid"; wait $!; echo $? >"$D/status"; rm "$D/pid"`
  spawn("/bin/sh", ["-c", line, "sh", ...words], {
    env: { ...env, D: directory },
    stdio: "ignore",
    detached: true
  }).unref()
  while (read("pid") === undefined && read("status") === undefined) await pause(5)
}

const stop = async () => {
  const pid = Number(read("pid") ?? 0)
  if (pid > 0) process.kill(pid, "SIGTERM")
  while (read("pid") !== undefined) await pause(5)
  fs.rmSync(at("status"), { force: true })
}

const show = () => {
  const there = fs.existsSync(unit)
  const pid = read("pid")
  const status = read("status")
  const state = pid !== undefined ? "active" : status === undefined ? "inactive" : "failed"
  const ended = status === undefined ? [] : Number(status) > 128 ? [2, Number(status) - 128] : [1, Number(status)]
  return [
    `LoadState=${there ? "loaded" : "not-found"}`,
    `UnitFileState=${fs.existsSync(at("enabled")) ? "enabled" : "disabled"}`,
    `ActiveState=${state}`,
    `MainPID=${pid ?? 0}`,
    ...(ended.length === 0 ? [] : [`ExecMainCode=${ended[0]}`, `ExecMainStatus=${ended[1]}`])
  ].join("\n")
}

fs.appendFileSync(at("calls"), `${[verb, ...rest].join(" ")}\n`)
if (verb === "show") process.stdout.write(`${show()}\n`)
if (verb === "enable") fs.writeFileSync(at("enabled"), "")
if (verb === "disable") fs.rmSync(at("enabled"), { force: true })
if (verb === "stop" || verb === "disable" || verb === "restart") await stop()
if (verb === "start" || verb === "restart") {
  fs.rmSync(at("status"), { force: true })
  await start()
}
