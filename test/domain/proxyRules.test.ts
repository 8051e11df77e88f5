/**
 * Which requests pass a route: every reading of a path must pass, what is denied stays denied in
 * all its spellings, and a project can only narrow.
 */
import { assert, describe, it } from "@effect/vitest"
import { proxyPresets } from "../../src/domain/proxyPresets.ts"
import { proxyPresetNames } from "../../src/domain/ProxyRoute.ts"
import {
  makeRequestJudge,
  pathGlob,
  pathGlobProblem,
  pathGlobsOverlap,
  pathProblem,
  type RouteRules
} from "../../src/domain/proxyRules.ts"

const judged = (rules: RouteRules | ReadonlyArray<RouteRules>, method: string, target: string) => {
  const verdict = makeRequestJudge([rules].flat())(method, target)
  return verdict.allowed ? "allowed" : `${verdict.status} ${verdict.code}`
}

describe("the path of a request", () => {
  it.each([
    "/",
    "/v1/chat/completions",
    "/@scope%2fname",
    "/@scope/name/-/name-1.0.0.tgz",
    "/a.b/..c/...",
    "/me/r.git/info/refs",
    "/a%20b",
    "/100%25",
    "/caf%C3%A9",
    "/a:b@c"
  ])("%s is in its normal form", (path) => {
    assert.isUndefined(pathProblem(path))
  })

  it.each([
    "",
    "v1",
    "https://other/",
    "/v1/../admin",
    "/v1/./x",
    "/v1/..",
    "/%2e%2e/x",
    "/v1/.%2E/x",
    "/v1/%2e",
    "/v1/..%2fadmin",
    "/v1%2f..%2fadmin",
    "/v1/..%5cadmin",
    "/v1/%252e%252e/x",
    "/v1/%25252e./x",
    "/v1/..;a=b/admin",
    "/v1/..%3b/admin",
    "//host/x",
    "/v1//x",
    "/v1\\x",
    "/v1/%5cx",
    "/v1/%00",
    "/v1/x%0d%0aHost:%20y",
    "/v1/%7f",
    "/v1/%zz",
    "/v1/%c0%ae%c0%ae/",
    "/v1/#x",
    "/v1/a b",
    "/v1/é",
    "/v1/x\t"
  ])("%s is refused", (path) => {
    assert.isDefined(pathProblem(path))
    assert.strictEqual(judged({}, "GET", path), "400 path")
  })
})

describe("a route", () => {
  it.each<[RouteRules, string, string, string]>([
    [{}, "GET", "/any/thing?q=1", "allowed"],
    [{}, "PROPFIND", "/x", "allowed"],
    [{}, "TRACE", "/x", "403 method"],
    [{}, "CONNECT", "/x", "403 method"],
    [{ methods: ["GET"] }, "GET", "/x", "allowed"],
    [{ methods: ["GET"] }, "HEAD", "/x", "403 method"],
    [{ methods: ["GET"] }, "get", "/x", "403 method"],
    [{ paths: ["/me/**"] }, "GET", "/me/repo.git/info/refs", "allowed"],
    [{ paths: ["/me/**"] }, "GET", "/me", "allowed"],
    [{ paths: ["/me/**"] }, "GET", "/meow", "403 path"],
    [{ paths: ["/me/**"] }, "GET", "/ME/x", "403 path"],
    [{ paths: ["/me/**"] }, "GET", "/you/x?/me/x", "403 path"],
    [{ paths: ["/repos/*/issues"] }, "GET", "/repos/a/b/issues", "403 path"],
    [{ paths: ["/repos/*/issues"] }, "GET", "/repos/a%2fb/issues", "403 path"],
    [{ paths: ["/@me/*"] }, "GET", "/@me%2fx", "403 path"],
    [{ paths: ["/@me/*", "/@me%2f*"] }, "GET", "/@me%2fx", "allowed"],
    [{ paths: ["/@me/*", "/@me%2f*"] }, "GET", "/@me%2fx%2fy", "403 path"],
    [{ paths: [] }, "GET", "/", "403 path"],
    [{ deny: ["/admin/**"] }, "GET", "/admin", "403 path"],
    [{ deny: ["/admin/**"] }, "GET", "/ADMIN/x", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/admin/keys/", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/admin;v=1/keys;x", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/admin%2fkeys", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/%61dmin/keys", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/%2561dmin/keys", "403 path"],
    [{ deny: ["/admin/keys"] }, "GET", "/admin/keyset", "allowed"],
    [{ deny: ["/a/b"], paths: ["/a/**"] }, "GET", "/a/b", "403 path"]
  ])("with %o: %s %s is %s", (rules, method, target, expected) => {
    assert.strictEqual(judged(rules, method, target), expected)
  })

  it.each<[RouteRules, string, string]>([
    [{ deny: ["/**/git-receive-pack"] }, "/me/r.git/info/refs?service=git-receive-pack", "403 path"],
    [{ deny: ["/**/git-receive-pack"] }, "/me/r.git/info/refs?service=git%2Dreceive%2Dpack", "403 path"],
    [{ deny: ["/**/git-receive-pack"] }, "/me/r.git/info%2frefs?service=git-receive-pack", "403 path"],
    [
      { deny: ["/**/git-receive-pack"] },
      "/me/r.git/info/refs?service=git-upload-pack&service=git-receive-pack",
      "403 path"
    ],
    [{ deny: ["/**/git-receive-pack"] }, "/me/r.git/info/refs?service=git-upload-pack", "allowed"],
    [{ paths: ["/me/r.git/git-upload-pack"] }, "/me/r.git/info/refs?service=git-upload-pack", "allowed"],
    [{ paths: ["/me/r.git/git-upload-pack"] }, "/me/r.git/info/refs?service=git-receive-pack", "403 path"],
    [{ paths: ["/me/r.git/git-upload-pack"] }, "/me/r.git/info/refs", "403 path"]
  ])("with %o asks of git's discovery %s: %s", (rules, target, expected) => {
    assert.strictEqual(judged(rules, "GET", target), expected)
  })

  it("is never widened by a project", () => {
    const rules = [
      { paths: ["/me/**"], methods: ["GET"] },
      { paths: ["/**"], methods: ["GET", "POST"] }
    ]
    assert.strictEqual(judged(rules, "GET", "/me/x"), "allowed")
    assert.strictEqual(judged(rules, "GET", "/you/x"), "403 path")
    assert.strictEqual(judged(rules, "POST", "/me/x"), "403 method")
    assert.strictEqual(judged([{ paths: ["/me/**"] }, { paths: ["/me/r/**"] }], "GET", "/me/other"), "403 path")
  })

  it("takes a path that would make a backtracking matcher slow", () => {
    const glob = `/${"**/a/".repeat(40)}x`
    assert.isFalse(pathGlob(glob)(`/${"a/".repeat(2000)}`))
    assert.isFalse(pathGlob(`/${"*a".repeat(80)}`)(`/${"a".repeat(4000)}b`))
  })
})

describe("a glob of paths", () => {
  it.each<[string, string, boolean]>([
    ["/a/*/c", "/a/b/c", true],
    ["/a/*/c", "/a//c", true],
    ["/a/**/c", "/a/c", true],
    ["/a/**/c", "/a/b/b/c", true],
    ["/a/**/c", "/a/b/cd", false],
    ["**", "/anything/at/all", true],
    ["/**/*.json", "/a/b.json", true],
    ["/a*z", "/abcz", true],
    ["/a*z", "/ab/z", false],
    ["/a?", "/ab", false],
    ["/a.c", "/abc", false]
  ])("%s and %s: %s", (glob, path, expected) => {
    assert.strictEqual(pathGlob(glob)(path), expected)
  })

  it.each(["v1/**", "", "*", "/v1?x=1", "/v1/**x", "/a**", "/v1#x"])("may not be %s", (glob) => {
    assert.isDefined(pathGlobProblem(glob))
  })

  it.each<[string, string, boolean]>([
    ["/a/**", "/b/**", false],
    ["/a/**", "/a/b", true],
    ["/a/*", "/a/b/c", false],
    ["/**/x", "/a", true],
    ["/a*", "/b*", false],
    ["/a*x", "/ab*y", false],
    ["/a*", "/ab*", true]
  ])("%s may match the same path as %s: %s", (one, other, expected) => {
    assert.strictEqual(pathGlobsOverlap(one, other), expected)
    assert.strictEqual(pathGlobsOverlap(other, one), expected)
  })
})

describe("a preset", () => {
  it.each(proxyPresetNames)("%s has globs that are valid", (name) => {
    for (const glob of proxyPresets[name].deny) assert.isUndefined(pathGlobProblem(glob), glob)
  })

  it.each([
    ["openai", "POST", "/v1/realtime/client_secrets"],
    ["openai", "POST", "/v1/organization/admin_api_keys"],
    ["anthropic", "GET", "/v1/organizations/api_keys"],
    ["github", "POST", "/app/installations/42/access_tokens"],
    ["github", "POST", "/repos/me/r/actions/runners/registration-token"],
    ["github", "POST", "/orgs/o/actions/runners/generate-jitconfig"],
    ["npm", "POST", "/-/npm/v1/tokens"],
    ["npm", "PUT", "/-/user/org.couchdb.user:me"],
    ["stripe", "POST", "/v1/ephemeral_keys"]
  ] as const)("%s denies what makes credentials: %s %s", (name, method, path) => {
    assert.strictEqual(judged(proxyPresets[name], method, path), "403 path")
  })

  it.each([
    ["openai", "POST", "/v1/chat/completions"],
    ["anthropic", "POST", "/v1/messages"],
    ["github", "GET", "/repos/me/r/issues?page=2"],
    ["github", "POST", "/graphql"],
    ["git", "GET", "/me/r.git/info/refs?service=git-receive-pack"],
    ["npm", "GET", "/-/whoami"],
    ["npm", "GET", "/@me%2fpackage"],
    ["stripe", "GET", "/v1/customers"]
  ] as const)("%s takes %s %s", (name, method, path) => {
    assert.strictEqual(judged(proxyPresets[name], method, path), "allowed")
  })
})
