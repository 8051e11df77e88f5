/**
 * What `exec` says at the end of a proxied run.
 */
import { assert, describe, it } from "@effect/vitest"
import { endLines } from "../../../../../src/cli/commands/project/proxy/proxyReport.ts"

const route = (name: string, upstream: string, intercept = false) => ({
  name,
  upstream,
  intercept,
  secret: "s",
  inject: { kind: "bearer", user: undefined, name: undefined, format: undefined },
  placeholder: "",
  preset: undefined
})
const routes = [
  route("github", "https://api.github.com"),
  route("openai", "https://api.openai.com"),
  route("stripe", "https://api.stripe.com", true)
]
const used = (requests: ReadonlyArray<number>, refused = 0) =>
  routes.map(({ name }, at) => ({
    name,
    requests: requests[at] ?? 0,
    refused: 0,
    unknown_ca: name === "stripe" ? refused : 0
  }))

describe("the end of a proxied run", () => {
  it("is silent where every route was used, or nothing is known", () => {
    assert.deepStrictEqual(endLines(routes, used([1, 2, 3]), {}), [])
    assert.deepStrictEqual(endLines(routes, [], {}), [])
  })

  it("names the routes that were never used", () => {
    assert.deepStrictEqual(endLines(routes, used([1, 1, 0]), {}), ["route stripe was never used"])
    assert.deepStrictEqual(endLines(routes, used([0, 1, 0]), {}), ["routes github, stripe were never used"])
  })

  it("does not call a route unused whose requests were all refused", () => {
    const uses = [{ name: "github", requests: 0, refused: 8, unknown_ca: 0 }]
    assert.deepStrictEqual(endLines(routes, uses, {}), [
      "every request to route github was refused: secrets proxy check"
    ])
  })

  it("says why, where NO_PROXY or a client's certificates are the cause", () => {
    assert.deepStrictEqual(endLines(routes, used([1, 1, 0]), { no_proxy: "stripe.com" }), [
      "route stripe was never used: NO_PROXY has stripe.com, so api.stripe.com is reached directly"
    ])
    assert.deepStrictEqual(endLines(routes, used([1, 1, 0], 2), {}), [
      "a client did not accept the certificate of the run for api.stripe.com"
    ])
  })
})
