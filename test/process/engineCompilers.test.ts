import { assert, describe, it } from "vitest"
import { compileAfterShortLife } from "../../src/process/engineCompilers.ts"

describe("the compilers of the engine of the binary", () => {
  it("are the usual ones after a quarter of a second", () => {
    const [scales, later]: [Array<number>, Array<[number, () => void]>] = [[], []]
    compileAfterShortLife(
      (scale) => void scales.push(scale),
      (millis, run) => void later.push([millis, run])
    )
    assert.deepStrictEqual([scales, later.map(([millis]) => millis)], [[], [250]])
    for (const [, run] of later) run()
    assert.deepStrictEqual(scales, [1])
  })

  it("are left alone where there is no such switch", () => {
    compileAfterShortLife(undefined, () => assert.fail("nothing is to be done later"))
  })
})
