/**
 * The address at which a command finds the daemon.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { daemonAddress, readSettings } from "../../../src/cli/command/daemonAddress.ts"

describe("the settings", () => {
  afterEach(() => void vi.unstubAllEnvs())

  it("are read from the home directory, never from the current one, if HOME is empty", () => {
    vi.stubEnv("HOME", "")
    const settings = readSettings({ option: () => undefined })
    if ("file" in settings) assert.isTrue(path.isAbsolute(settings.file), settings.file)
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
