/**
 * Which paths another user could replace, on a made-up file system.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { isOwnPath } from "../../src/process/isOwnPath.ts"
import { type PathContext, unsafePath, unsafeSocket } from "../../src/process/pathOwners.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const [me, nobody, service] = [1000, 65534, 990]

/** `uid:gid mode`, or a link: `uid -> target`. */
type Files = Readonly<Record<string, string>>

const base: Files = {
  "/": "0:0 0755",
  "/home": "0:0 0755",
  "/home/me": `${me}:${me} 0750`,
  "/home/me/s": `${me}:${me} 0700`,
  "/home/me/s/sock": `${me}:${me} socket 0600`,
  "/tmp": "0:0 1777"
}

const context = (files: Files, more: Partial<PathContext> = {}): PathContext => {
  const read = (path: string): string => {
    const found = files[path]
    if (found === undefined) throw new Error("ENOENT")
    return found
  }
  return {
    lstat: (path) => {
      const text = read(path)
      if (text.includes("->")) return { uid: Number.parseInt(text), gid: 0, mode: 0o120777 }
      const [, uid, gid, kind, mode = ""] = /^(\d+):(\d+) (socket |file )?(\d+)$/.exec(text) ?? []
      const bits = kind === "socket " ? 0o140000 : kind === "file " ? 0o100000 : 0o040000
      return { uid: Number(uid), gid: Number(gid), mode: bits | Number.parseInt(mode, 8) }
    },
    readlink: (path) => read(path).split("-> ")[1] ?? "",
    uidMap: () => "         0          0 4294967295\n",
    groupFile: () => `root:x:0:\nme:x:${me}:\nteam:x:2000:me,nobody\n`,
    uid: me,
    groups: () => [me],
    caller: undefined,
    admins: undefined,
    ...more
  }
}

const socketIn = (more: Files, changes: Partial<PathContext> = {}, at = "/home/me/s/sock") =>
  unsafeSocket(at, context({ ...base, ...more }, changes))

const reasonOf = (unsafe: ReturnType<typeof unsafeSocket>): string =>
  typeof unsafe === "object" ? unsafe.reason : `${unsafe}`

it("does not take a user who has the number of an unmapped root for root", () => {
  const files = { "/home": `${nobody}:0 0755`, "/proc/sys": `${nobody}:0 0555` }
  const unsafe = socketIn(files, { uidMap: () => "0 100000 65536\n" })
  assert.include(reasonOf(unsafe), "/home belongs to uid")
})

describe("a socket is safe", () => {
  for (const [what, more, changes = {}] of [
    ["below directories of root and of this user", {}],
    ["if it is root's", { "/home/me/s/sock": "0:0 socket 0660" }],
    ["in a home directory with the user's own group", { "/home/me": `${me}:${me} 0770` }],
    ["in a directory of administrators", { "/home/me": `${me}:80 0775` }, { admins: 80 }],
    [
      "through a link of this user",
      { "/home/me/s": `${me} -> ../../tmp/./x`, "/tmp/x": `${me}:${me} 0700`, "/tmp/x/sock": `${me}:${me} socket 0600` }
    ],
    ["for root by sudo, if it is the caller's", {}, { uid: 0, caller: me }],
    ["for root, if its directory is the daemon's and the rest is root's", { "/home/me": "0:0 0755" }, { uid: 0 }],
    ["where root is not mapped", { "/": `${nobody}:0 0755`, "/home": `${nobody}:0 0755` }],
    [
      "where root is not mapped, and / is of the sandbox",
      { "/": `${me}:0 0755`, "/home": `${nobody}:0 0755`, "/proc/sys": `${nobody}:0 0555` },
      { uidMap: () => `  ${me}  ${me}  1\n` }
    ]
  ] as ReadonlyArray<readonly [string, Files, Partial<PathContext>?]>) {
    it(what, () => assert.isUndefined(socketIn(more, changes)))
  }

  it("if it belongs to another user and admits one of this user's groups", () => {
    const files = {
      "/srv": "0:0 0755",
      "/srv/run": `${service}:2000 0710`,
      "/srv/run/sock": `${service}:2000 socket 0660`
    }
    assert.isUndefined(socketIn(files, { groups: () => [me, 2000] }, "/srv/run/sock"))
    assert.include(
      reasonOf(socketIn(files, {}, "/srv/run/sock")),
      "/srv/run/sock belongs to uid 990, and admits none of"
    )
    const open = { ...files, "/srv/run/sock": `${service}:2000 socket 0666` }
    assert.include(reasonOf(socketIn(open, {}, "/srv/run/sock")), "admits none of your groups")
  })
})

describe("a socket is not safe", () => {
  for (const [what, more, reason, changes = {}] of [
    ["below a directory of another user", { "/home": `${nobody}:0 0755` }, "/home belongs to uid 65534"],
    [
      "if it is another user's",
      { "/home/me/s/sock": `${nobody}:${nobody} socket 0660` },
      "/home/me/s/sock belongs to uid 65534"
    ],
    [
      "below a directory that everyone can write",
      { "/home": "0:0 0777" },
      "/home is writable by other users (mode 777)"
    ],
    [
      "below one that a group can write",
      { "/home/me": `${me}:2000 0770` },
      "/home/me is writable by other users in the group 2000"
    ],
    [
      "in a home directory whose group has others",
      { "/home/me": `${me}:${me} 0770` },
      "writable by other users in the group 1000",
      { groupFile: () => "me:x:1000:nobody\n" }
    ],
    [
      "in one whose group is unknown",
      { "/home/me": `${me}:${me} 0770` },
      "writable by other users in the group 1000",
      { groupFile: () => "" }
    ],
    [
      "through a link of another user",
      { "/home/me/s": `${nobody} -> /tmp/x`, "/tmp/x": `${me}:${me} 0700`, "/tmp/x/sock": `${me}:${me} socket 0600` },
      "/home/me/s belongs to uid 65534"
    ],
    [
      "through a link to a directory of another user",
      { "/home/me/s": `${me} -> /tmp/x`, "/tmp/x": `${nobody}:0 0755`, "/tmp/x/sock": `${me}:0 socket 0600` },
      "/tmp/x belongs to uid 65534"
    ],
    ["for root below directories of another user", {}, "/home/me belongs to uid 1000", { uid: 0 }]
  ] as ReadonlyArray<readonly [string, Files, string, Partial<PathContext>?]>) {
    it(what, () => assert.include(reasonOf(socketIn(more, changes)), reason))
  }

  it("as long as it is missing, or its links have no end", () => {
    assert.strictEqual(socketIn({}, {}, "/home/me/s/other"), "missing")
    assert.strictEqual(socketIn({ "/home/me/s": `${me} -> s` }), "missing")
  })
})

describe("a path of the daemon", () => {
  it("is safe where it does not exist yet", () => {
    assert.isUndefined(unsafePath("/home/me/new/state", context(base)))
  })

  it("is not safe if others can write to the file", () => {
    const files = { ...base, "/home/me/config.json": `${me}:2000 file 0664` }
    assert.deepStrictEqual(unsafePath("/home/me/config.json", context(files)), {
      reason: "/home/me/config.json is writable by other users in the group 2000 (mode 664)",
      fix: "Run: chmod g-w /home/me/config.json"
    })
  })

  it("is not made safe by changing the mode of a directory that is not this user's", () => {
    const unsafe = unsafePath("/home/me/config.json", context({ ...base, "/home": "0:2000 0775" }))
    assert.strictEqual(unsafe?.fix, "Choose a place that no other user can write to")
  })
})

describe("isOwnPath", () => {
  it.live("holds below directories of this user alone, and for no link and no place of others", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [socket, link] = [path.join(directory, "sock"), path.join(directory, "link")]
      fs.writeFileSync(socket, "", { mode: 0o660 })
      fs.symlinkSync(directory, link)
      assert.deepStrictEqual([isOwnPath(socket), unsafeSocket(socket)], [true, undefined])
      assert.deepStrictEqual(
        [isOwnPath(path.join(link, "sock")), unsafeSocket(path.join(link, "sock"))],
        [false, undefined]
      )
      assert.isFalse(isOwnPath(path.join(directory, "none")))
      fs.chmodSync(directory, 0o720)
      assert.isFalse(isOwnPath(socket))
      fs.chmodSync(directory, 0o1777)
      assert.isTrue(isOwnPath(socket))
    })
  )
})
