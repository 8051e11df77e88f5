/**
 * A file that secrets did not write is not replaced.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { writeEnvFile } from "../../../../src/cli/commands/project/writeEnvFile.ts"
import { modeOf } from "../../../harness/daemon.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const text = "# secrets-managed: true\n# secrets-ttl: 2026-11-22T09:36:19Z\nA=new\n"

describe("an env file", () => {
  it.live("is replaced only with force if it appeared during the leases", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, ".env")
      fs.writeFileSync(file, "MINE=1\n")
      const { message } = yield* Effect.flip(writeEnvFile({ file, force: false, within: undefined }, text))
      assert.include(message, "was not written by secrets")
      assert.strictEqual(fs.readFileSync(file, "utf8"), "MINE=1\n")
      yield* writeEnvFile({ file, force: true, within: undefined }, text)
      assert.strictEqual(fs.readFileSync(file, "utf8"), text)
      assert.strictEqual(modeOf(file), "600")
      assert.deepStrictEqual(fs.readdirSync(directory), [".env"])
    })
  )

  it.live("that the project chose stays in the project, through no link and in no directory of others", () =>
    Effect.gen(function* () {
      const outside = fs.realpathSync(yield* temporaryDirectory)
      const within = fs.realpathSync(yield* temporaryDirectory)
      const inside = (name: string) => path.join(within, name)
      const refused = (name: string) =>
        Effect.map(
          Effect.flip(writeEnvFile({ file: inside(name), force: true, within }, text)),
          ({ message }) => message
        )
      fs.mkdirSync(inside("real/deep"), { recursive: true })
      fs.symlinkSync(outside, inside("link"))
      fs.symlinkSync("real", inside("inner"))
      fs.mkdirSync(inside("real/.env"))
      fs.writeFileSync(inside("file"), "x")
      execFileSync("mkfifo", [inside(".env.pipe")])
      fs.symlinkSync(path.join(outside, "target"), inside(".env.link"))
      fs.symlinkSync("/dev/null", inside(".env.device"))
      for (const [name, reason] of [
        ["link/.env", "link is a symbolic link or no directory"],
        ["inner/.env", "inner is a symbolic link or no directory"],
        ["link/deep/.env", "link is a symbolic link or no directory"],
        ["file/.env", "file is a symbolic link or no directory"],
        ["missing/.env", "ENOENT"],
        ["real/.env", "is not a regular file"],
        [".env.pipe", "is not a regular file"],
        [".env.link", "is a symbolic link, which is not followed"],
        [".env.device", "is a symbolic link, which is not followed"]
      ] as const) {
        assert.include(yield* refused(name), reason, name)
      }
      fs.chmodSync(inside("real"), 0o777)
      assert.include(yield* refused("real/deep/.env"), "real belongs to or is writable by another user")
      if (process.getuid?.() === 0) {
        fs.writeFileSync(inside(".env"), text)
        fs.chownSync(inside(".env"), 61_234, 61_234)
        assert.include(yield* refused(".env"), "belongs to another user")
        fs.chmodSync(inside("real"), 0o755)
        fs.chownSync(inside("real/deep"), 61_234, 61_234)
        assert.include(yield* refused("real/deep/.env"), "deep belongs to or is writable by another user")
      }
      assert.deepStrictEqual(fs.readdirSync(outside), [])
      // A hard link elsewhere keeps the old content.
      fs.writeFileSync(path.join(outside, "other"), text.replace("new", "old"))
      fs.linkSync(path.join(outside, "other"), inside(".env.hard"))
      yield* writeEnvFile({ file: inside(".env.hard"), force: false, within }, text)
      assert.include(fs.readFileSync(path.join(outside, "other"), "utf8"), "old")
    })
  )

  it.live("is never what the command reads, nor a device", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      const inside = (name: string) => path.join(directory, name)
      fs.writeFileSync(inside("template"), "T")
      fs.linkSync(inside("template"), inside("hard"))
      fs.symlinkSync("template", inside("link"))
      fs.mkdirSync(inside("below"))
      const refused = (file: string, source: string) =>
        Effect.map(
          Effect.flip(writeEnvFile({ file, force: true, within: undefined, source }, text)),
          ({ message }) => message
        )
      for (const [file, source] of [
        [inside("template"), inside("template")],
        [inside("template"), inside("below/../template")],
        [inside("template"), inside("link")],
        [inside("link"), inside("link")],
        [inside("hard"), inside("template")]
      ] as const)
        assert.include(yield* refused(file, source), "is what the command reads")
      for (const file of ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"])
        assert.include(yield* refused(file, inside("template")), "is no file to write to")
      assert.strictEqual(fs.readFileSync(inside("template"), "utf8"), "T")
      assert.isTrue(fs.lstatSync(inside("link")).isSymbolicLink())
    })
  )
})
