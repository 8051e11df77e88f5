/**
 * A fake launchctl that runs a daemon as its property list describes and restarts it, without
 * launchd's pause between starts. Keeps its state in the directory STAND_IN.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import plist from "plist"

const directory = process.env["STAND_IN"] ?? ""
const [verb, ...rest] = process.argv.slice(2)
const keeper = path.join(directory, "keeper")
const loaded = fs.existsSync(keeper)

fs.appendFileSync(path.join(directory, "calls"), `${[verb, ...rest].join(" ")}\n`)

const fail = (status, message) => {
  process.stderr.write(message)
  process.exit(status)
}

if (!loaded && (verb === "print" || verb === "kickstart")) {
  fail(113, 'Bad request.\nCould not find service "dev.agent-secrets.daemon" in domain for user gui: 501\n')
}
if (!loaded && verb === "bootout") fail(3, "Boot-out failed: 3: No such process\n")
if (loaded && verb === "bootstrap") fail(5, "Bootstrap failed: 5: Input/output error\n")
if (verb === "kickstart" && rest[0] !== "-k") process.exit(37)
if (verb === "print") process.stdout.write(`${rest[0]} = {\n\tstate = running\n\truns = 1\n}\n`)
if (verb === "bootstrap") {
  const job = plist.parse(fs.readFileSync(rest[1], "utf8"))
  const line = `while :; do "$@" 2>>"$LOG" & wait $!; done`
  const child = spawn("/bin/sh", ["-c", line, "sh", ...job.ProgramArguments], {
    env: { ...job.EnvironmentVariables, LOG: job.StandardErrorPath },
    stdio: "ignore",
    detached: true
  })
  child.unref()
  fs.writeFileSync(keeper, String(child.pid))
}
if (verb === "bootout") {
  process.kill(-Number(fs.readFileSync(keeper, "utf8")), "SIGTERM")
  fs.rmSync(keeper)
}
