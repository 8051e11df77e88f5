/**
 * Whose state directory it is: what one user creates in the home directory of another one, that one could not use. On a
 * Mac, sudo keeps HOME.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { accessHint, foreignDirectory } from "../../../src/cli/command/ownership.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const self = process.getuid?.() ?? 0
/** No user of the tests is root, to whom special rules apply. */
const owner = self === 0 ? 65_534 : self
const other = owner + 1

const homeOfOwner = Effect.tap(temporaryDirectory, (home) =>
  Effect.sync(() => self === 0 && fs.chownSync(home, owner, owner))
)
const inside = (home: string): string => path.join(home, ".agent-secrets")

describe("a state directory", () => {
  it.live("in HOME may be used by the user of HOME, whether it exists or not", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      assert.isUndefined(foreignDirectory(inside(home), "secrets init", home, owner))
      fs.mkdirSync(inside(home))
      if (self === 0) fs.chownSync(inside(home), owner, owner)
      assert.isUndefined(foreignDirectory(inside(home), "secrets init", home, owner))
    })
  )

  it.live("in HOME is refused to root, with the user to run it as", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      const { exitStatus, fix, message } = foreignDirectory(inside(home), "secrets init", home, 0) ?? {}
      assert.include(message, `HOME is ${home}, which belongs to `)
      assert.match(message ?? "", new RegExp(`uid ${owner}\\)?, and this is root \\(uid 0\\)$`))
      assert.match(fix ?? "", /^Run it as that user: sudo -H -u \S+ secrets init$/)
      assert.strictEqual(exitStatus, 78)
    })
  )

  it.live("in HOME is refused to another user, with the way to its own HOME", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      const { exitStatus, fix, message } = foreignDirectory(inside(home), "secrets serve", home, other) ?? {}
      assert.include(message, `and this is uid ${other}`)
      assert.strictEqual(fix, `Use the home directory of this user: sudo -H -u '#${other}' secrets serve`)
      assert.strictEqual(exitStatus, 78)
    })
  )

  it.live("elsewhere is refused to root alone", () =>
    Effect.gen(function* () {
      const directory = yield* homeOfOwner
      const { exitStatus, message } = foreignDirectory(directory, "secrets init", undefined, 0) ?? {}
      assert.include(message, `${directory} belongs to `)
      assert.strictEqual(exitStatus, 73)
      assert.isUndefined(foreignDirectory(directory, "secrets init", undefined, other))
    })
  )

  it("below a directory of root may be used by everyone who can write there", () => {
    assert.isUndefined(foreignDirectory("/no-such-home/.agent-secrets", "secrets init", "/no-such-home", other))
  })

  it.live.runIf(self === 0)("of another user in the own home directory is called by its path", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      fs.mkdirSync(inside(home))
      fs.chownSync(inside(home), other, other)
      fs.chownSync(home, 0, 0)
      const { exitStatus, message } = foreignDirectory(inside(home), "secrets init", home, 0) ?? {}
      assert.include(message, `${inside(home)} belongs to uid ${other}`)
      assert.strictEqual(exitStatus, 73)
    })
  )
})

describe("a file that this user may not use", () => {
  it.live("is not to be taken from the user of HOME", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      fs.mkdirSync(inside(home))
      if (self === 0) fs.chownSync(inside(home), owner, owner)
      const { fix, why } = accessHint(path.join(inside(home), "config.json"), other) ?? {}
      assert.match(`${[why].flat().join()}`, new RegExp(`belongs to .*${owner}\\)?, and this is uid ${other}$`))
      assert.strictEqual(fix, "Set HOME to the home directory of this user; with sudo, add -H")
    })
  )

  it.live.runIf(self === 0)("may be taken back where it is in the home directory of this user", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      fs.mkdirSync(inside(home), 0o700)
      fs.chownSync(inside(home), other, other)
      const { fix } = accessHint(path.join(inside(home), "config.json"), owner) ?? {}
      assert.match(fix ?? "", /^Give it to this user: sudo chown -R /)
    })
  )

  it("is not to be taken from the system, with another place to choose", () => {
    const elsewhere = "Choose a place in a directory of this user"
    for (const file of ["/no-such-place", "/usr/no-such-place/audit.log", "/usr/bin", "/proc/self/no-such-place"])
      assert.strictEqual(accessHint(file, other)?.fix, elsewhere, file)
    const ofHome = "Set HOME to the home directory of this user; with sudo, add -H"
    assert.strictEqual(accessHint("/.agent-secrets", other)?.fix, ofHome)
  })

  it.live.runIf(self === 0)("is given without all else in a directory that the daemon did not make", () =>
    Effect.gen(function* () {
      const home = yield* homeOfOwner
      const [shared, link] = [path.join(home, "shared"), path.join(home, "link")]
      fs.mkdirSync(shared, 0o755)
      fs.symlinkSync("/usr", link)
      const fixOf = (file: string) => accessHint(file, owner)?.fix
      assert.match(fixOf(path.join(shared, "audit.log")) ?? "", /^Give it to this user: sudo chown [^-]/)
      assert.match(fixOf(path.join(link, "audit.log")) ?? "", /^Choose a place in a directory of this user/)
    })
  )
})
