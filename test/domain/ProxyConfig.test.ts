/**
 * The section `proxy` of config.json: what it means, and that nothing is accepted that would send
 * a credential elsewhere than its words say.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { decodeConfig } from "../../src/domain/Config.ts"
import type { Injection } from "../../src/domain/ProxyRoute.ts"

const decode = (routes: unknown) => decodeConfig(JSON.stringify({ proxy: { routes } }), "/home/me")
const reasonOf = (routes: unknown) => {
  const decoded = decode(routes)
  return Result.isFailure(decoded) ? decoded.failure.reason : "accepted"
}
const routesOf = (routes: unknown) => {
  const decoded = decode(routes)
  return Result.isFailure(decoded) ? decoded.failure.reason : decoded.success.config.proxyRoutes
}
const minimal = { secret: "s", upstream: "https://api.example.com" }

describe("a route", () => {
  it("has the defaults of the documentation", () => {
    assert.deepStrictEqual(routesOf({ api: minimal }), [
      {
        name: "api",
        secret: "s",
        upstream: { host: "api.example.com", port: 443, path: "" },
        inject: { kind: "bearer" },
        methods: undefined,
        paths: undefined,
        deny: [],
        clients: undefined,
        intercept: false,
        websocket: false,
        mask: true,
        placeholder: "",
        private: false,
        ca: undefined,
        limits: { inFlight: 64, body: undefined, headerTimeout: 900_000, idle: 900_000 },
        preset: undefined
      }
    ])
  })

  it("takes from its preset what it does not say itself, and adds to what that denies", () => {
    const [route] = [routesOf({ a: { secret: "s", preset: "anthropic", deny: ["/v1/files/**"] } })].flat()
    assert.deepInclude(route, {
      upstream: { host: "api.anthropic.com", port: 443, path: "" },
      inject: { kind: "header", name: "x-api-key", format: "{}" },
      placeholder: "sk-ant-",
      deny: ["/v1/organizations/**", "/v1/files/**"]
    })
    const own = { secret: "s", preset: "github", upstream: "https://GHE.example.com:8443/api/v3/", placeholder: "ghp_" }
    assert.deepInclude([routesOf({ a: own })].flat()[0], {
      upstream: { host: "ghe.example.com", port: 8443, path: "/api/v3" },
      placeholder: "ghp_"
    })
  })

  it.each<[unknown, Injection]>([
    ["bearer", { kind: "bearer" }],
    [{ basic: "x-access-token" }, { kind: "basic", user: "x-access-token" }],
    [{ header: "X-API-Key" }, { kind: "header", name: "x-api-key", format: "{}" }],
    [
      { header: "Authorization", format: "Token {}" },
      { kind: "header", name: "authorization", format: "Token {}" }
    ],
    [{ query: "key" }, { kind: "query", name: "key" }]
  ])("injects as %o", (inject, expected) => {
    assert.deepInclude([routesOf({ api: { ...minimal, inject } })].flat()[0], { inject: expected })
  })

  it.each<[object, string]>([
    [{ upstream: "https://api.example.com" }, "proxy.routes.api.secret must be the name of a secret"],
    [{ secret: "s" }, "proxy.routes.api.upstream or preset is required"],
    [{ secret: "s", preset: "opanai" }, "proxy.routes.api.preset must be one of openai"],
    [{ ...minimal, upstream: "http://api.example.com" }, "proxy.routes.api.upstream must be https"],
    [{ ...minimal, upstream: "api.example.com" }, "proxy.routes.api.upstream must be an https address"],
    [{ ...minimal, upstream: "https://me:pw@api.example.com" }, "proxy.routes.api.upstream must be an https address"],
    [{ ...minimal, upstream: "https://api.example.com?x=1" }, "proxy.routes.api.upstream must be an https address"],
    [{ ...minimal, upstream: "https://api.example.com\\@evil.com" }, "upstream must be an https address"],
    [
      { ...minimal, upstream: "https://10.0.0.1" },
      "proxy.routes.api.upstream must be a name; an address needs private"
    ],
    [{ ...minimal, upstream: "https://[::1]:8443" }, "must be a name; an address needs private"],
    [{ ...minimal, upstream: "https://2130706433" }, "must have a host in its normal form"],
    [{ ...minimal, upstream: "https://0x7f.1", private: true }, "must have a host in its normal form"],
    [{ ...minimal, upstream: "https://localhost:8443" }, "is at this machine, which needs private"],
    [{ ...minimal, upstream: "https://api.example.com." }, "must have a host in its normal form"],
    [{ ...minimal, upstream: "https://api.example.com:0" }, "must have a port above 0"],
    [{ ...minimal, upstream: "https://api.example.com/a/../b" }, "must have another path: it has a dot segment"],
    [{ ...minimal, inject: "digest" }, "proxy.routes.api.inject must be bearer, or a JSON object"],
    [{ ...minimal, inject: {} }, "must have one of basic, header, query"],
    [{ ...minimal, inject: { header: "x-key", query: "key" } }, "must have one of basic, header, query"],
    [{ ...minimal, inject: { query: "key", format: "{}" } }, "format goes with header alone"],
    [
      { ...minimal, inject: { header: "x-key", format: "Token" } },
      "format must be a text of one line that has {} once"
    ],
    [{ ...minimal, inject: { header: "Host" } }, "header must be the name of a header"],
    [{ ...minimal, inject: { header: "a b" } }, "header must be the name of a header"],
    [{ ...minimal, inject: { basic: "a:b" } }, "basic must be a user name without a colon"],
    [{ ...minimal, methods: ["get"] }, "proxy.routes.api.methods must be a list of methods in capitals"],
    [{ ...minimal, methods: ["TRACE"] }, "proxy.routes.api.methods must be a list of methods in capitals"],
    [{ ...minimal, methods: [] }, "proxy.routes.api.methods must be a list of methods in capitals"],
    [{ ...minimal, paths: ["v1/**"] }, "proxy.routes.api.paths must be a list of at most 100 globs"],
    [{ ...minimal, paths: ["/v1/**x"] }, "proxy.routes.api.paths[0] may have ** only as a whole segment"],
    [{ ...minimal, paths: null }, "proxy.routes.api.paths must be"],
    [{ ...minimal, deny: "/v1" }, "proxy.routes.api.deny must be a list"],
    [{ ...minimal, clients: [] }, "proxy.routes.api.clients must be a list of 1 to 100 globs"],
    [{ ...minimal, placeholder: "a b" }, "proxy.routes.api.placeholder must be at most 32 letters"],
    [{ ...minimal, ca: "ca.pem" }, "proxy.routes.api.ca must be an absolute path"],
    [{ ...minimal, limits: { in_flight: 0 } }, "proxy.routes.api.limits.in_flight must be a whole number above 0"],
    [{ ...minimal, path: ["/v1/**"] }, "proxy.routes.api.path is not a setting: did you mean proxy.routes.api.paths?"],
    [{ ...minimal, inject: { header: "x-key", formt: "{}" } }, "proxy.routes.api.inject.formt is not a setting"],
    [{ ...minimal, injects: "bearer" }, "proxy.routes.api.injects is not a setting"]
  ])("is refused, with its place: %o", (route, reason) => {
    assert.include(reasonOf({ api: route }), reason)
  })

  it("may be at an address, or at this machine, if it says so", () => {
    for (const upstream of ["https://10.0.0.1", "https://[::1]:8443/v1", "https://localhost:8443"]) {
      assert.lengthOf(routesOf({ api: { ...minimal, upstream, private: true } }), 1)
    }
  })

  it("has a name that can stand on a command line", () => {
    for (const name of ["-x", "a b", "A", "", "a,b", "x".repeat(33)]) {
      assert.include(reasonOf({ [name]: minimal }), "proxy.routes has a route (number 1) whose name is not", name)
    }
  })

  it("is told apart from another of its host where one intercepts", () => {
    const intercepting = { ...minimal, intercept: true }
    const wrong = "proxy.routes.two has the host of one and intercepts: paths must tell them apart"
    assert.include(reasonOf({ one: intercepting, two: minimal }), wrong)
    assert.include(reasonOf({ one: { ...intercepting, paths: ["/a/**"] }, two: minimal }), wrong)
    assert.include(
      reasonOf({ one: { ...intercepting, paths: ["/a/**"] }, two: { ...minimal, paths: ["/**/b"] } }),
      wrong
    )
    assert.lengthOf(routesOf({ one: { ...intercepting, paths: ["/a/**"] }, two: { ...minimal, paths: ["/b/**"] } }), 2)
    assert.lengthOf(routesOf({ one: minimal, two: minimal }), 2)
    assert.lengthOf(routesOf({ one: intercepting, two: { ...minimal, upstream: "https://api.example.com:8443" } }), 2)
  })
})

describe("the section", () => {
  it("is empty where there is none, and rejects what it does not know", () => {
    const routes = (text: string) => Result.map(decodeConfig(text, "/home/me"), ({ config }) => config.proxyRoutes)
    assert.deepStrictEqual(routes("{}"), Result.succeed([]))
    assert.deepStrictEqual(routes('{"proxy":{"routes":{}}}'), Result.succeed([]))
    const unknown = routes('{"proxy":{"routes":{},"rout":{}}}')
    assert.include(Result.isFailure(unknown) ? unknown.failure.reason : "", "proxy.rout is not a setting")
  })
})
