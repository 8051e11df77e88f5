/**
 * Descriptors of the caller are told apart from those of the runtime.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { chooseInherited, inheritedDescriptors } from "../../src/process/inheritedDescriptors.ts"
import { hasProc } from "../support/inside.ts"

const closeOnExec = 0o2000000
const [read, write] = [fs.constants.O_RDONLY, fs.constants.O_WRONLY]
const open = (fd: number, target: string, mode = read, flags = closeOnExec) => ({ fd, target, flags: mode | flags })

const ofRuntime = [open(7, "pipe:[70]"), open(8, "pipe:[70]", write)]

describe("inherited descriptors", () => {
  it("are files, sockets and one end of a pipe, and none of the runtime's", () => {
    const given = [
      open(3, "/home/u/passphrase"),
      open(4, "pipe:[40]"),
      open(5, "socket:[50]"),
      open(11, "/memfd:x (deleted)")
    ]
    assert.deepStrictEqual(chooseInherited([...given, ...ofRuntime]), [3, 4, 5, 11])
    const same = [open(3, "pipe:[30]", write), open(4, "pipe:[30]", write)]
    assert.deepStrictEqual(chooseInherited([...same, ...ofRuntime]), [3, 4])
  })

  it("are both ends of the pipe of make", () => {
    const jobs = [open(3, "pipe:[30]"), open(4, "pipe:[30]", write), ...ofRuntime]
    for (const flags of [" -j4 --jobserver-auth=3,4 -- X=1", "--jobserver-fds=3,4 -j"]) {
      assert.deepStrictEqual(chooseInherited(jobs, flags), [3, 4])
    }
    for (const flags of ["", "-j4", "--jobserver-auth=fifo:/tmp/GMfifo1"]) {
      assert.deepStrictEqual(chooseInherited(jobs, flags), [])
    }
  })

  it("are not those that a program gets anyway", () => {
    assert.deepStrictEqual(chooseInherited([open(16, "/x", read, 0), open(255, "/x", read, 0)]), [])
    assert.deepStrictEqual(chooseInherited([open(3, "/x", read, 0)]), [3])
  })

  it("are found among the descriptors of this process", () => {
    if (!hasProc) return
    const before = inheritedDescriptors()
    // Node opens every file close-on-exec, as it marks the lowest ones that it was started with.
    const fd = fs.openSync("/dev/null", "r")
    try {
      assert.deepStrictEqual(
        inheritedDescriptors().filter((one) => !before.includes(one)),
        [fd]
      )
    } finally {
      fs.closeSync(fd)
    }
  })
})
