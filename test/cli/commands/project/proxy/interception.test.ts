/**
 * The certificates of a run beside those that the user has, and NO_PROXY.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  bypassOf,
  certificateFiles,
  interceptVariables,
  noProxyVariables
} from "../../../../../src/cli/commands/project/proxy/interception.ts"

const certificate = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`
const system = "/etc/ssl/certs/ca-certificates.crt"

const filesFor = (environment: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>) => {
  const made = certificateFiles(
    certificate("run"),
    environment,
    (file) => files[file],
    () => [certificate("node")]
  )
  const names = (text: string) => [...text.matchAll(/^(\w+)$/gm)].map(([, name]) => name)
  return { whole: names(made.whole), extra: names(made.extra), unread: made.unread }
}

describe("the certificates of a run", () => {
  it("come after those of the system, or those that Node brings", () => {
    assert.deepStrictEqual(filesFor({}, { [system]: `# a\n${certificate("a")}\n\n# b\n${certificate("b")}\n` }), {
      whole: ["a", "b", "run"],
      extra: ["run"],
      unread: []
    })
    assert.deepStrictEqual(filesFor({}, {}).whole, ["node", "run"])
  })

  it("come after those of every variable that is set, each once", () => {
    const files = {
      [system]: certificate("a"),
      "/corp": certificate("corp"),
      "/nix": certificate("nix"),
      "/node": certificate("extra")
    }
    const set = {
      CURL_CA_BUNDLE: "/corp",
      REQUESTS_CA_BUNDLE: "/corp",
      NIX_SSL_CERT_FILE: "/nix",
      NODE_EXTRA_CA_CERTS: "/node"
    }
    assert.deepStrictEqual(filesFor(set, files), {
      whole: ["a", "corp", "nix", "extra", "run"],
      extra: ["extra", "run"],
      unread: []
    })
    // OpenSSL would read this one in place of the system's.
    assert.deepStrictEqual(filesFor({ SSL_CERT_FILE: "/corp" }, files).whole, ["corp", "run"])
  })

  it("are made without a file that cannot be read, which is named", () => {
    assert.deepStrictEqual(filesFor({ CURL_CA_BUNDLE: "/gone" }, { [system]: certificate("a") }), {
      whole: ["a", "run"],
      extra: ["run"],
      unread: ["CURL_CA_BUNDLE"]
    })
  })

  it("reach every client that reads a variable, and the rare ones that the user has set", () => {
    const variables = interceptVariables(
      "http://run:asp_c@127.0.0.1:1",
      { whole: "/w", extra: "/e" },
      { NIX_SSL_CERT_FILE: "/nix" }
    )
    assert.deepInclude(variables, {
      HTTPS_PROXY: "http://run:asp_c@127.0.0.1:1",
      https_proxy: "http://run:asp_c@127.0.0.1:1",
      YARN_HTTPS_PROXY: "http://run:asp_c@127.0.0.1:1",
      NODE_USE_ENV_PROXY: "1",
      SSL_CERT_FILE: "/w",
      CURL_CA_BUNDLE: "/w",
      REQUESTS_CA_BUNDLE: "/w",
      GIT_SSL_CAINFO: "/w",
      npm_config_cafile: "/w",
      NIX_SSL_CERT_FILE: "/w",
      NODE_EXTRA_CA_CERTS: "/e",
      DENO_CERT: "/e"
    })
    assert.notProperty(variables, "HTTPLIB2_CA_CERTS")
  })
})

describe("NO_PROXY", () => {
  it("keeps what the user has in either case, and gets the loopback addresses", () => {
    const all = "corp.example,.internal,localhost,127.0.0.1,::1"
    const given = { NO_PROXY: "corp.example, localhost", no_proxy: ".internal" }
    assert.deepStrictEqual(noProxyVariables(given), {
      NO_PROXY: "corp.example,localhost,.internal,127.0.0.1,::1",
      no_proxy: "corp.example,localhost,.internal,127.0.0.1,::1"
    })
    assert.deepStrictEqual(noProxyVariables({ NO_PROXY: "corp.example,.internal" }), { NO_PROXY: all, no_proxy: all })
  })

  for (const [entry, isDirect] of [
    ["*", true],
    ["stripe.com", true],
    [".stripe.com", true],
    ["*.stripe.com", true],
    ["api.STRIPE.com:443", true],
    ["tripe.com", false],
    ["api.stripe.com.evil", false]
  ] as const) {
    it(`${isDirect ? "names" : "does not name"} api.stripe.com by ${entry}`, () => {
      assert.strictEqual(bypassOf("api.stripe.com", { no_proxy: `a.example,${entry}` }), isDirect ? entry : undefined)
    })
  }
})
