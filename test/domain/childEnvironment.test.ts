/**
 * Programs that work for us get an allow list of variables.
 */
import { assert, describe, it } from "@effect/vitest"
import { childEnvironment } from "../../src/domain/childEnvironment.ts"

const ours = {
  PATH: "bin::/usr/bin:.:/bin",
  HOME: "/home/me",
  LC_ALL: "C",
  LANG: undefined,
  NODE_OPTIONS: "--require /x",
  LD_PRELOAD: "/x",
  AWS_SECRET_ACCESS_KEY: "hush",
  TOOL_URL: "http://x"
}

describe("the environment of a child", () => {
  it("has what every program needs, and the absolute entries of PATH", () => {
    assert.deepStrictEqual(childEnvironment(ours), { PATH: "/usr/bin:/bin", HOME: "/home/me", LC_ALL: "C" })
    assert.deepStrictEqual(childEnvironment({}), { PATH: "/usr/local/bin:/usr/bin:/bin" })
  })

  it("has what this program needs besides", () => {
    const { TOOL_URL, ...rest } = childEnvironment(ours, (name) => name.startsWith("TOOL_"))
    assert.deepStrictEqual([TOOL_URL, Object.keys(rest).length], ["http://x", 3])
  })
})
