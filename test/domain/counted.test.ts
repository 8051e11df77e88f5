import { assert, describe, it } from "@effect/vitest"
import { counted } from "../../src/domain/counted.ts"

describe("a number with its noun", () => {
  it("agrees with it", () => {
    assert.deepStrictEqual(
      [
        counted(1, "lease"),
        counted(0, "lease"),
        counted(2, "active lease"),
        counted(1, "entry"),
        counted(2, "entry"),
        counted(2, "key")
      ],
      ["1 lease", "0 leases", "2 active leases", "1 entry", "2 entries", "2 keys"]
    )
    assert.deepStrictEqual(
      [counted(1, "file", "was"), counted(2, "file", "was"), counted(1, "entry", "is"), counted(0, "entry", "is")],
      ["1 file was", "2 files were", "1 entry is", "0 entries are"]
    )
  })
})
