/**
 * The folders of macOS that a job of launchd cannot read.
 */
import { assert, describe, it } from "@effect/vitest"
import { protectedFolder } from "../../src/service/protectedFolder.ts"

describe("a path", () => {
  it.each([
    ["/Users/joel/Documents/agent-secrets/bin/secrets", "Documents"],
    ["/Users/joel/Documents", "Documents"],
    ["/users/JOEL/desktop/secrets", "Desktop"],
    ["/Users/joel/Downloads/secrets", "Downloads"],
    ["/Users/joel/Library/Mobile Documents/com~apple~CloudDocs/x", "iCloud Drive"],
    ["/Users/joel/Library/CloudStorage/Dropbox/x", "a cloud folder"],
    ["/Users/other/Documents/x", "Documents"],
    ["/Volumes/Disk/secrets", "/Volumes"],
    ["/srv/agent/Documents/x", "Documents"]
  ])("is in a protected folder: %s", (file, folder) => {
    assert.strictEqual(protectedFolder(file, file.startsWith("/srv") ? "/srv/agent" : "/Users/joel"), folder)
  })

  it.each([
    "/Users/joel/.agent-secrets",
    "/Users/joel/DocumentsOfMine/x",
    "/Users/joel/code/Documents/x",
    "/Users/joel/Library/Logs/agent-secrets.log",
    "/opt/homebrew/bin/node",
    "/Volumes",
    "/VolumesOfMine/x"
  ])("is in none: %s", (file) => assert.isUndefined(protectedFolder(file, "/Users/joel")))
})
