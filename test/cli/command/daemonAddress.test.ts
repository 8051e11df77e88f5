/**
 * The address at which a command finds the daemon.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { daemonAddress, readSettings } from "../../../src/cli/command/daemonAddress.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"

describe("the settings", () => {
  afterEach(() => void vi.unstubAllEnvs())

  it("are read from the home directory, never from the current one, if HOME is empty", () => {
    vi.stubEnv("HOME", "")
    const settings = readSettings({ option: () => undefined })
    if ("file" in settings) assert.isTrue(path.isAbsolute(settings.file), settings.file)
  })

  for (const [text, reason] of [
    ["{", "the file is not JSON"],
    ["5", "the file must be a JSON object"],
    ["null", "the file must be a JSON object"],
    ['{"socket_path":5}', "socket_path must be an absolute path, or begin with ~/"],
    ['{"directory":"srv"}', "directory must be an absolute path, or begin with ~/"]
  ] as const) {
    it(`are rejected with the reason that \`serve\` prints: ${text}`, () => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "config-"))
      try {
        const config = path.join(directory, "config.json")
        fs.writeFileSync(config, text)
        const problem = daemonAddress({ option: (flag: string) => (flag === "config" ? config : undefined) })
        assert.deepInclude(problem, { message: `config: ${reason} (${config})`, exitStatus: 78 })
        const decoded = decodeConfig(text, "/home")
        assert.strictEqual(Result.isFailure(decoded) && decoded.failure.message, `config: ${reason}`)
      } finally {
        fs.rmSync(directory, { recursive: true })
      }
    })
  }

  it.each([
    [{}, "/d/agent-secrets.sock", undefined],
    [{ socket_mode: "0660" }, "/d/agent-secrets.sock", "/d/owner.sock"],
    [{ socket_mode: "0660", socket_path: "/run/s" }, "/run/s", "/d/owner.sock"],
    [
      {
        socket_mode: "0660",
        sockets: [
          { role: "lease", path: "/a" },
          { role: "owner", path: "/b" }
        ]
      },
      "/d/agent-secrets.sock",
      "/b"
    ],
    [{ socket_mode: "0660", sockets: [null, 5] }, "/d/agent-secrets.sock", "/d/owner.sock"],
    [{ sockets: [{ role: "owner", path: "/b" }] }, "/d/agent-secrets.sock", undefined]
  ])("name the owner's socket where the main one is a group's: %j", (settings, socketPath, ownerSocket) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "config-"))
    try {
      const config = path.join(directory, "config.json")
      fs.writeFileSync(config, JSON.stringify({ directory: "/d", ...settings }))
      const found = daemonAddress({ option: (flag: string) => (flag === "config" ? config : undefined) })
      assert.deepStrictEqual(found, { socketPath, ...(ownerSocket === undefined ? {} : { ownerSocket }), seconds: 5 })
      const named = daemonAddress({ option: (flag: string) => ({ config, socket: "/s" })[flag] })
      assert.deepStrictEqual(named, { socketPath: "/s", seconds: 5 })
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })

  it("may begin with a byte order mark", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "config-"))
    try {
      const config = path.join(directory, "config.json")
      fs.writeFileSync(config, '\uFEFF{"socket_path":"/srv/s.sock"}')
      const line = { option: (flag: string) => (flag === "config" ? config : undefined) }
      assert.deepStrictEqual(daemonAddress(line), { socketPath: "/srv/s.sock", seconds: 5 })
      const settings = readSettings(line)
      assert.strictEqual("text" in settings && settings.text, '{"socket_path":"/srv/s.sock"}')
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })
})
