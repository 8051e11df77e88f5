/**
 * Where the daemon is looked for.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as path from "node:path"
import { readSettings } from "../../../src/cli/command/daemonAddress.ts"

describe("the settings", () => {
  afterEach(() => void vi.unstubAllEnvs())

  it("are looked for in the home directory and never in the current one, if HOME is empty", () => {
    vi.stubEnv("HOME", "")
    const settings = readSettings({ option: () => undefined })
    if ("file" in settings) assert.isTrue(path.isAbsolute(settings.file), settings.file)
  })
})
