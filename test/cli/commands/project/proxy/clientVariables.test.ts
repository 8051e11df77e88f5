/**
 * What each client of a proxied program is given, and what of the user stays.
 */
import { assert, describe, it } from "@effect/vitest"
import { clientSetup } from "../../../../../src/cli/commands/project/proxy/clientVariables.ts"
import type { ProgramRoute } from "../../../../../src/cli/commands/project/proxy/openedProxy.ts"

const route = (name: string, upstream: string, more: Partial<ProgramRoute> = {}): ProgramRoute => ({
  name,
  upstream,
  secret: `${name}_key`,
  inject: { kind: "bearer", user: undefined, name: undefined, format: undefined },
  placeholder: "",
  preset: undefined,
  intercept: false,
  base: more.intercept === true ? undefined : "http://127.0.0.1:1",
  credential: `asp_${name}`,
  ...more
})
const basic = { kind: "basic", user: "me", name: undefined, format: undefined }
const header = { kind: "header", user: undefined, name: "x-api-key", format: "{}" }

const setup = (
  routes: ReadonlyArray<ProgramRoute>,
  environment: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {}
) =>
  clientSetup(routes, {
    folder: "/run/f",
    environment: { HOME: "/home/me", ...environment },
    read: (file) => files[file] ?? ""
  })

describe("the variables of clients", () => {
  it("give every route a base URL and a key by its name", () => {
    assert.deepStrictEqual(setup([route("my-gemini", "https://generativelanguage.googleapis.com")]).variables, {
      MY_GEMINI_BASE_URL: "http://127.0.0.1:1",
      MY_GEMINI_API_KEY: "asp_my-gemini"
    })
  })

  it("give an intercepted route the key alone", () => {
    const stripe = route("stripe", "https://api.stripe.com", { intercept: true, preset: "stripe" })
    const github = route("github", "https://api.github.com", { intercept: true })
    const { files, sockets, variables } = setup([stripe, github])
    assert.deepStrictEqual(variables, {
      STRIPE_API_KEY: "asp_stripe",
      GITHUB_API_KEY: "asp_github",
      GH_TOKEN: "asp_github",
      GITHUB_TOKEN: "asp_github"
    })
    assert.deepStrictEqual([files, sockets], [{}, []])
  })

  it("know OpenAI by its preset or its host, and add its version once", () => {
    const first = setup([route("llm", "https://api.openai.com")]).variables
    assert.deepInclude(first, { OPENAI_BASE_URL: "http://127.0.0.1:1/v1", OPENAI_API_KEY: "asp_llm" })
    const own = setup([route("llm", "https://gateway.example/openai/v1", { preset: "openai" })]).variables
    assert.deepInclude(own, { OPENAI_BASE_URL: "http://127.0.0.1:1", OPENAI_API_KEY: "asp_llm" })
  })

  it("take the other credential of Anthropic out of the environment", () => {
    const key = setup([route("a", "https://api.anthropic.com", { inject: header })]).variables
    assert.deepInclude(key, { ANTHROPIC_API_KEY: "asp_a", ANTHROPIC_AUTH_TOKEN: undefined })
    const token = setup([route("a", "https://api.anthropic.com")]).variables
    assert.deepInclude(token, { ANTHROPIC_AUTH_TOKEN: "asp_a", ANTHROPIC_API_KEY: undefined })
  })

  it("continue the settings of git that the environment has, for each host of its own", () => {
    const git = route("git", "https://github.com", { preset: "git", inject: basic })
    const other = route("gitlab", "https://gitlab.example/team", { inject: basic, base: "http://127.0.0.1:2" })
    const { variables } = setup([git, other], {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "user.name",
      GIT_CONFIG_VALUE_0: "me"
    })
    const authorization = (name: string) => `Authorization: Basic ${Buffer.from(`me:asp_${name}`).toString("base64")}`
    const pairs = Array.from({ length: 6 }, (_, at) => [
      variables[`GIT_CONFIG_KEY_${at + 1}`],
      variables[`GIT_CONFIG_VALUE_${at + 1}`]
    ])
    assert.deepStrictEqual(pairs, [
      ["url.http://127.0.0.1:1/.insteadOf", "https://github.com/"],
      ["http.http://127.0.0.1:1/.extraHeader", ""],
      ["http.http://127.0.0.1:1/.extraHeader", authorization("git")],
      ["url.http://127.0.0.1:2/.insteadOf", "https://gitlab.example/team/"],
      ["http.http://127.0.0.1:2/.extraHeader", ""],
      ["http.http://127.0.0.1:2/.extraHeader", authorization("gitlab")]
    ])
    assert.deepInclude(variables, { GIT_CONFIG_COUNT: "7", GIT_TERMINAL_PROMPT: "0" })
    assert.notProperty(variables, "GIT_CONFIG_KEY_0")
  })

  it("give gh a socket, and keep the settings of the user but for theirs", () => {
    const own = "git_protocol: ssh\nhttp_unix_socket: /other\naliases:\n    co: pr checkout\n"
    for (const [environment, file] of [
      [{}, "/home/me/.config/gh/config.yml"],
      [{ XDG_CONFIG_HOME: "/x" }, "/x/gh/config.yml"],
      [{ GH_CONFIG_DIR: "/g", XDG_CONFIG_HOME: "/x" }, "/g/config.yml"]
    ] as const) {
      const { files, sockets, variables } = setup([route("github", "https://api.github.com")], environment, {
        [file]: own
      })
      assert.deepInclude(variables, {
        GH_TOKEN: "asp_github",
        GITHUB_API_URL: "http://127.0.0.1:1",
        GH_CONFIG_DIR: "/run/f/gh"
      })
      assert.deepStrictEqual(sockets, ["gh.sock"])
      const text = "git_protocol: ssh\naliases:\n    co: pr checkout\nhttp_unix_socket: /run/f/gh.sock\n"
      assert.deepStrictEqual(files, { "gh/config.yml": text })
    }
  })

  it("give gh another host than github.com", () => {
    const enterprise = route("work", "https://github.example:8443", { preset: "github" })
    const { variables } = setup([enterprise])
    assert.deepInclude(variables, {
      GH_HOST: "github.example:8443",
      GH_ENTERPRISE_TOKEN: "asp_work",
      GITHUB_API_URL: "http://127.0.0.1:1/api/v3"
    })
    assert.notProperty(variables, "GH_TOKEN")
  })

  it("give npm a registry, and its token in a file that the settings of the system go on in", () => {
    const npm = route("npm", "https://registry.npmjs.org", { preset: "npm", credential: "npm_asp_x" })
    const { files, variables } = setup([npm], { npm_config_globalconfig: "/g" }, { "/g": "fund=false" })
    assert.deepInclude(variables, {
      npm_config_registry: "http://127.0.0.1:1/",
      NPM_CONFIG_REGISTRY: undefined,
      npm_config_globalconfig: "/run/f/npmrc"
    })
    assert.deepStrictEqual(files, { npmrc: "fund=false\n//127.0.0.1:1/:_authToken=npm_asp_x\n" })
  })
})
