/**
 * The examples in launchd/ and systemd/: they are what the command writes, and systemd
 * itself finds no fault with its units.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import plist from "plist"
import { examples } from "../../scripts/serviceExamples.ts"
import { nodeOptions } from "../../src/service/ServiceOptions.ts"
import { settingsOf, wordsOf } from "../support/unitFile.ts"

const root = path.resolve(import.meta.dirname, "../..")
const read = (file: string) => fs.readFileSync(path.join(root, file), "utf8")
const label = "dev.agent-secrets.daemon"

describe("the examples", () => {
  it("are byte for byte what the command writes", () => {
    for (const [file, text] of examples) assert.strictEqual(read(file), text, file)
  })

  it("are all files of these folders", () => {
    const there = ["launchd", "systemd"].flatMap((folder) =>
      fs
        .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => /\.(?:plist|service|socket)$/.test(file))
        .map((file) => `${folder}/${file}`)
    )
    assert.sameMembers(
      there,
      examples.map(([file]) => file)
    )
  })

  it("contain no home directory but the placeholder that the instructions replace", () => {
    for (const [file, text] of examples.filter(([name]) => !name.includes("/system/"))) {
      assert.deepStrictEqual(new Set(text.match(/\/(?:Users|home)\/\w+/g)).size, 1, file)
      const placeholder = file.startsWith("launchd") ? "/Users/YOU" : "/home/YOU"
      assert.include(text, placeholder)
      assert.include(read(`${file.split("/")[0]}/README.md`), `sed "s|${placeholder}|$HOME|g"`)
    }
  })
})

describe("the LaunchAgent", () => {
  const job: any = plist.parse(read(`launchd/${label}.plist`))

  it("restarts the daemon without a busy loop, and gives it time to shut down", () => {
    assert.deepInclude(job, { Label: label, RunAtLoad: true, KeepAlive: true, ThrottleInterval: 10, ExitTimeOut: 5 })
  })

  it("runs serve with a runtime that opens no debugger, in its own environment", () => {
    assert.deepStrictEqual(job.ProgramArguments, [
      "/opt/homebrew/bin/node",
      ...nodeOptions,
      "/Users/YOU/.local/bin/secrets",
      "serve"
    ])
    assert.strictEqual(job.EnvironmentVariables.HOME, "/Users/YOU")
    assert.strictEqual(job.EnvironmentVariables.NODE_OPTIONS, "")
    for (const directory of ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/Users/YOU/.bun/bin"]) {
      assert.include(job.EnvironmentVariables.PATH.split(":"), directory)
    }
  })

  it("writes no core dump and no world-readable file, and logs below the home directory", () => {
    assert.strictEqual(job.HardResourceLimits.Core, 0)
    assert.strictEqual(job.SoftResourceLimits.Core, 0)
    // In a LaunchDaemon, a number of files would set the limit of the whole Mac; the runtime raises its own.
    assert.notProperty(job.SoftResourceLimits, "NumberOfFiles")
    assert.strictEqual(job.Umask, 0o077)
    assert.strictEqual(job.StandardErrorPath, "/Users/YOU/Library/Logs/agent-secrets.log")
    assert.strictEqual(job.StandardOutPath, "/Users/YOU/Library/Logs/agent-secrets.log")
    assert.notProperty(job, "UserName")
  })

  it("has a system variant that runs as its own user and group", () => {
    const system: any = plist.parse(read(`launchd/system/${label}.plist`))
    assert.deepInclude(system, { UserName: "agent", GroupName: "agent-secrets", KeepAlive: true })
    assert.strictEqual(system.EnvironmentVariables.HOME, "/Users/agent")
  })
})

describe("the units", () => {
  const unit = (folder: string, kind = "service") => settingsOf(read(`systemd/${folder}/dev.agent-secrets.${kind}`))

  it("restart the daemon without a limit", () => {
    for (const folder of ["user", "user-with-socket", "system"]) {
      const { Service, Unit } = unit(folder)
      assert.deepInclude(Service, { Restart: "always", RestartSec: "1", Type: "notify", WatchdogSignal: "SIGKILL" })
      assert.strictEqual(Unit?.["StartLimitIntervalSec"], "0")
      assert.isAbove(Number(Service?.["TimeoutStopSec"]), 4)
      assert.isBelow(Number(Service?.["RestartMaxDelaySec"]), 15)
    }
  })

  it("do not restart after lasting failures, except with socket activation", () => {
    assert.strictEqual(unit("user")["Service"]?.["RestartPreventExitStatus"], "65 78")
    assert.notProperty(unit("user-with-socket")["Service"], "RestartPreventExitStatus")
  })

  it("have a socket for its owner only, with a backlog long enough for a restart", () => {
    const { Install, Socket } = unit("user-with-socket", "socket")
    assert.deepInclude(Socket, { SocketMode: "0600", DirectoryMode: "0700", Backlog: "1024", RemoveOnStop: "yes" })
    assert.strictEqual(Socket?.["ListenStream"], "/home/YOU/.agent-secrets/agent-secrets.sock")
    assert.strictEqual(Install?.["WantedBy"], "sockets.target")
    assert.strictEqual(unit("user-with-socket")["Unit"]?.["Requires"], "dev.agent-secrets.socket")
  })

  it("require no privileges of a user manager", () => {
    const names = Object.keys(unit("user")["Service"] ?? {})
    assert.deepStrictEqual(
      names.filter((name) => /^(?:Protect|Private|ReadWrite|Capability|Ambient|User|Group)/.test(name)),
      []
    )
  })

  it("let a system service write only to its own directory", () => {
    const { Service } = unit("system")
    assert.deepInclude(Service, {
      ProtectSystem: "strict",
      ReadWritePaths: "/var/lib/agent/.agent-secrets",
      User: "agent"
    })
    assert.strictEqual(Service?.["CapabilityBoundingSet"], "")
  })

  it("run serve in its own environment", () => {
    const { Service } = unit("user")
    assert.deepStrictEqual(wordsOf(Service?.["ExecStart"]?.slice(1) ?? ""), [
      "/usr/bin/node",
      ...nodeOptions,
      "/home/YOU/.local/bin/secrets",
      "serve"
    ])
    const environment = wordsOf(Service?.["Environment"] ?? "")
    assert.includeMembers(environment, ["HOME=/home/YOU", "NODE_OPTIONS="])
    assert.match(environment[1] ?? "", /^PATH=\/home\/YOU\/\.local\/bin:/)
  })

  it("pass systemd-analyze verify or, without systemd, a check of their sections", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))
    try {
      for (const [file, text] of examples.filter(([name]) => name.startsWith("systemd/"))) {
        const place = path.join(directory, file)
        fs.mkdirSync(path.dirname(place), { recursive: true })
        // verify requires that the program exists.
        fs.writeFileSync(place, text.replaceAll("/usr/bin/node", process.execPath))
      }
      for (const folder of ["user", "user-with-socket", "system"]) {
        assert.deepStrictEqual(faults(path.join(directory, "systemd", folder), folder !== "system"), [], folder)
      }
      assert.isAtMost(exposure(path.join(directory, "systemd/system/dev.agent-secrets.service")) ?? 0, 2)
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })
})

/** Returns the errors of `systemd-analyze verify` and unknown sections. */
const faults = (folder: string, ofUser: boolean): Array<string> => {
  const files = fs.readdirSync(folder).map((file) => path.join(folder, file))
  const words = ["verify", "--man=no", ...(ofUser ? ["--user"] : []), ...files]
  const ran = spawnSync("systemd-analyze", words, {
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin", XDG_RUNTIME_DIR: folder, HOME: folder }
  })
  const read = files.flatMap((file) => Object.keys(settingsOf(fs.readFileSync(file, "utf8"))))
  const strange = read.filter((section) => !["Unit", "Service", "Socket", "Install"].includes(section))
  if (ran.error !== undefined) return strange
  // Unknown before systemd 254.
  const known = ran.stderr
    .split("\n")
    .filter((line) => !/Unknown key(?: name)? 'Restart(?:Steps|MaxDelaySec)'/.test(line))
  return [
    ...strange,
    ...(ran.status === 0 ? [] : [`exit status ${ran.status}`]),
    ...known.filter((line) => line !== "")
  ]
}

/** Returns the exposure from 0 to 10; undefined where systemd cannot assess a file. */
const exposure = (file: string): number | undefined => {
  const ran = spawnSync("systemd-analyze", ["security", "--offline=true", file], {
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin" }
  })
  const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(ran.stdout ?? "") ?? []
  return level === undefined ? undefined : Number(level)
}
