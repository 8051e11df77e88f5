/**
 * The address at which a command finds the daemon.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { daemonAddress, defaultClientId } from "../../../src/cli/command/daemonAddress.ts"
import { readSettings } from "../../../src/cli/command/settingsFile.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** The sockets that a command line names. */
const socketsIn = (args: Record<string, string>) => {
  const found = daemonAddress({ option: (flag: string) => args[flag] })
  if ("exitStatus" in found) return found
  const { onWait: _, returnsSoon: __, seconds: ___, ...sockets } = found
  return sockets
}

describe("the wait for a daemon", () => {
  it("ends within four seconds of the start, unless --timeout names another time", () => {
    const usual = daemonAddress({ option: () => undefined })
    if ("exitStatus" in usual) return assert.fail(usual.message)
    assert.isAtMost(usual.seconds + Math.min(1, process.uptime()), 3.8)
    assert.isAtLeast(usual.seconds, 2.7)
    assert.isDefined(usual.returnsSoon)
    const given = daemonAddress({ option: (flag: string) => (flag === "timeout" ? "30" : undefined) })
    assert.deepInclude(given, { seconds: 30, returnsSoon: undefined })
  })
})

describe("the settings", () => {
  afterEach(() => void vi.unstubAllEnvs())

  it("are read from the home directory, never from the current one, if HOME is empty", () => {
    vi.stubEnv("HOME", "")
    const settings = readSettings({ option: () => undefined })
    if ("file" in settings) assert.isTrue(path.isAbsolute(settings.file), settings.file)
  })

  for (const home of ["rel", "./rel", "~", " /home"]) {
    it(`are not looked for below a HOME that is no absolute path: ${home}`, () => {
      vi.stubEnv("HOME", home)
      const why = "HOME is not an absolute path"
      assert.deepInclude(readSettings({ option: () => undefined }), { why, exitStatus: 78 })
      assert.deepInclude(daemonAddress({ option: () => undefined }), { why, exitStatus: 78 })
      assert.deepStrictEqual(socketsIn({ socket: "/run/s.sock" }), { socketPath: "/run/s.sock" })
    })
  }

  for (const [text, reason] of [
    ["{", "the file is not JSON (line 1 column 2)"],
    ["{\0}\0", "the file is UTF-16 or UTF-32, not UTF-8"],
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

  it.effect("are read from a file with a byte order mark and with other line ends", () =>
    Effect.gen(function* () {
      const config = path.join(yield* temporaryDirectory, "config.json")
      const text = '{\r\n  "socket_path": "/run/s"\r\n}\r\n'
      fs.writeFileSync(config, `\ufeff${text}`)
      assert.deepInclude(socketsIn({ config }), { socketPath: "/run/s" })
      fs.writeFileSync(config, `\ufeff${text}`, "utf16le")
      assert.deepInclude(socketsIn({ config }), {
        message: `config: the file is UTF-16 or UTF-32, not UTF-8 (${config})`
      })
    })
  )

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
      assert.deepStrictEqual(socketsIn({ config }), {
        socketPath,
        ...(ownerSocket === undefined ? {} : { ownerSocket })
      })
      assert.deepStrictEqual(socketsIn({ config, socket: "/s" }), { socketPath: "/s" })
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
      assert.deepStrictEqual(socketsIn({ config }), { socketPath: "/srv/s.sock" })
      const settings = readSettings(line)
      assert.strictEqual("text" in settings && settings.text, '{"socket_path":"/srv/s.sock"}')
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })
})

describe("the client id without --client-id", () => {
  const inFile = (text: string, more: Record<string, string> = {}) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "config-"))
    try {
      const config = path.join(directory, "config.json")
      fs.writeFileSync(config, text)
      const args: Record<string, string> = { config, ...more }
      return { config, found: defaultClientId({ option: (flag: string) => args[flag] }) }
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  }
  const host = os.hostname()

  it.each([
    ['{"client_id":"my-mac"}', "my-mac"],
    ['{"client_id":"Jöels Mac 🍎"}', "Jöels Mac 🍎"],
    ['{"client_id":null}', host],
    ["{}", host]
  ])("is that of config.json, or the host name: %s", (text, expected) => {
    assert.strictEqual(inFile(text).found, expected)
    assert.strictEqual(inFile(text, { socket: "/s" }).found, expected)
  })

  it.each(["", "a\nb", "x".repeat(257), 5, ["a"], false])("is rejected as `serve` rejects it: %j", (given) => {
    const text = JSON.stringify({ client_id: given })
    const { config, found } = inFile(text)
    const reason = "client_id must be a text of 1 to 256 characters without control characters"
    assert.deepInclude(found, { message: `config: ${reason} (${config})`, exitStatus: 78 })
    const decoded = decodeConfig(text, "/home")
    assert.strictEqual(Result.isFailure(decoded) && decoded.failure.message, `config: ${reason}`)
  })

  it("needs no readable config.json with --socket", () => {
    assert.deepInclude(inFile("{").found, { exitStatus: 78 })
    assert.strictEqual(inFile("{", { socket: "/s" }).found, host)
    const missing = (args: Record<string, string>) => defaultClientId({ option: (flag: string) => args[flag] })
    assert.deepInclude(missing({ config: "/no/such/file" }), { exitStatus: 78 })
    assert.strictEqual(missing({ config: "/no/such/file", socket: "/s" }), host)
  })
})
