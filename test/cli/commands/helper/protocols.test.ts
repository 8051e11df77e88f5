/**
 * Each helper protocol to the byte: what is asked, which secrets that takes, and what is answered.
 */
import { assert, describe, it } from "@effect/vitest"
import { ask, end, ended } from "./ask.ts"

const expiry = Math.floor(end / 1000)
const githubToken = "made-up-token"
const secrets = {
  github_token: githubToken,
  pair: JSON.stringify({ AccessKeyId: "AKIAMADEUP", SecretAccessKey: "made-up" })
}

describe("print", () => {
  it.each([
    ["value", "value\n"],
    ["value\n", "value\n"],
    ["", "\n"]
  ])("prints %j with one line feed", (value, stdout) =>
    assert.strictEqual(ask("print", { words: ["n"], secrets: { n: value } }).stdout, stdout)
  )

  it("prints several lines only if they are asked for as they are", () => {
    const given = { words: ["n"], secrets: { n: "a\nb\n" } }
    assert.deepInclude(ask("print", given), { stdout: "", status: 65, problem: "the value has several lines" })
    assert.deepInclude(ask("print", { ...given, raw: true }), { stdout: "a\nb\n", status: 0 })
  })
})

describe("headers", () => {
  it("is a bearer token as JSON", () => {
    const { stdout } = ask("headers", { words: ["github_token"], secrets })
    assert.deepStrictEqual(JSON.parse(stdout), { Authorization: `Bearer ${githubToken}` })
    assert.strictEqual(ask("headers", { words: ["n"], secrets: { n: "a\nX-Other: b" } }).status, 65)
  })
})

describe("git", () => {
  const targets = {
    git: {
      "https://github.com": { secret: "github_token" },
      "https://git.example.com/team": { secret: "github_token", username: "oauth2" },
      "https://git.example.com/team/inner": { secret: "inner" },
      "https://other.example.com:8443": { secret: "github_token" },
      "http://127.0.0.1:8080": { secret: "github_token" }
    }
  }
  const get = (lines: ReadonlyArray<string>, more = {}) =>
    ask("git", {
      words: ["get"],
      input: `${lines.join("\n")}\n\n`,
      targets,
      secrets: { ...secrets, inner: "x" },
      ...more
    })
  const asked = (url: string) => {
    const [, protocol, host, path] = /^(\w+):\/\/([^/]*)\/?(.*)$/.exec(url) ?? []
    return [`protocol=${protocol}`, `host=${host}`, ...(path === "" ? [] : [`path=${path}`])]
  }

  it("answers with the end of the lease", () => {
    const { stdout, target } = get(asked("https://github.com"))
    assert.strictEqual(stdout, `username=x-access-token\npassword=${githubToken}\npassword_expiry_utc=${expiry}\n\n`)
    assert.strictEqual(target, "https://github.com")
  })

  it("marks it as ephemeral where git knows the word", () => {
    const { stdout } = get([...asked("https://github.com"), "capability[]=authtype", "capability[]=state"])
    assert.match(stdout, /^capability\[\]=authtype\nusername=.*\nephemeral=1\n\n$/s)
  })

  it.each([
    ["https://GitHub.com", "github_token"],
    ["https://github.com:443/a/b.git", "github_token"],
    ["https://git.example.com/team", "github_token"],
    ["https://git.example.com/team/x.git", "github_token"],
    ["https://git.example.com/team/inner/x.git", "inner"],
    ["https://other.example.com:8443/x", "github_token"],
    ["http://127.0.0.1:8080/x", "github_token"]
  ])("knows %s", (url, secret) => assert.deepStrictEqual(get(asked(url)).leased, [secret]))

  it.each([
    "http://github.com",
    "https://github.com.evil",
    "https://evil.github.com",
    "https://github.com:444",
    "https://github.com:",
    "https://github.com.",
    "https://user@github.com",
    "https://github.com%00.evil",
    "https://github.com\\.evil",
    "https://github\u0000.com",
    "https://github.com\u001b[2J",
    "https://\u0261ithub.com",
    "https://",
    "ssh://github.com",
    "https://git.example.com",
    "https://git.example.com/teams/x",
    "https://git.example.com/team/../other",
    "https://git.example.com/team/%2e%2e/other",
    "https://git.example.com/team/./x",
    "https://git.example.com/Team/x",
    "https://git.example.com/team\\..\\other",
    "https://other.example.com/x",
    "http://127.0.0.1:8081/x",
    "http://127.0.0.1.evil:8080/x"
  ])("gives nothing to %j", (url) => {
    assert.deepStrictEqual(get(asked(url)), { stdout: "", status: 0, leased: [] })
  })

  it("gives nothing over plain http, also with --name, unless it is loopback", () => {
    assert.deepStrictEqual(get(asked("http://example.com"), { name: "github_token" }).leased, [])
    assert.deepStrictEqual(get(asked("http://localhost:1"), { name: "github_token" }).leased, ["github_token"])
    assert.deepStrictEqual(get(asked("https://example.com"), { name: "github_token" }).leased, ["github_token"])
  })

  it("answers the user name that is given, that of the target, that of the request, or a usual one", () => {
    const userOf = (url: string, more = {}, ...lines: ReadonlyArray<string>) =>
      /^username=(.*)$/m.exec(get([...asked(url), ...lines], more).stdout)?.[1]
    assert.strictEqual(userOf("https://git.example.com/team", { username: "me" }, "username=they"), "me")
    assert.strictEqual(userOf("https://git.example.com/team", {}, "username=they"), "oauth2")
    assert.strictEqual(userOf("https://github.com", {}, "username=they"), "they")
    assert.strictEqual(userOf("https://github.com"), "x-access-token")
  })

  it("ignores what it does not know, and takes the last of two values", () => {
    const given = [
      "protocol=https",
      "host=evil.example",
      "host=github.com",
      "future=1",
      "state[]=a",
      "wwwauth[]=Basic",
      "x"
    ]
    assert.deepStrictEqual(get(given).leased, ["github_token"])
  })

  it("reads nothing after the empty line", () => {
    const input = "protocol=https\n\nhost=github.com\n\n"
    assert.deepStrictEqual(ask("git", { words: ["get"], input, targets, secrets }).leased, [])
  })

  it("reports a rejection of its own credential, and of no other", () => {
    const erase = (...lines: ReadonlyArray<string>) =>
      ask("git", {
        words: ["erase"],
        input: [...asked("https://git.example.com/team"), ...lines, "", ""].join("\n"),
        targets
      })
    assert.strictEqual(erase("username=oauth2", "password=made-up").rejected, "github_token")
    assert.strictEqual(erase().rejected, "github_token")
    assert.isUndefined(erase("username=somebody", "password=made-up").rejected)
  })

  it.each(["store", "capability", "", "Get", "get2"])("does nothing for the action %j", (action) =>
    assert.deepStrictEqual(
      ask("git", { words: [action], input: "protocol=https\nhost=github.com\n\n", targets, secrets }),
      {
        stdout: "",
        status: 0,
        leased: []
      }
    )
  )

  it("gives no value of several lines", () => {
    const given = { words: ["get"], input: "protocol=https\nhost=github.com\n\n", targets }
    assert.deepInclude(ask("git", { ...given, secrets: { github_token: "a\nquit=1" } }), { stdout: "", status: 65 })
  })
})

describe("openclaw", () => {
  const targets = {
    openclaw: {
      "gateway/*": { prefix: "oc_" },
      "*": {},
      "exact/id": { secret: "github_token" },
      "aws/*": { secret: "pair" }
    }
  }
  const ask1 = (ids: ReadonlyArray<string>, more = {}) =>
    ask("openclaw", { input: JSON.stringify({ protocolVersion: 1, provider: "p", ids }), targets, secrets, ...more })

  it("has a value or an error for each id", () => {
    const { status, stdout } = ask1(["github_token", "gateway/x", "exact/id", "aws/k#AccessKeyId", "aws/k#Nothing"])
    assert.strictEqual(status, 0)
    assert.deepStrictEqual(JSON.parse(stdout), {
      protocolVersion: 1,
      values: { github_token: githubToken, "exact/id": githubToken, "aws/k#AccessKeyId": "AKIAMADEUP" },
      errors: {
        "gateway/x": { message: 'secret "oc_gateway/x": secret not found' },
        "aws/k#Nothing": { message: "the value has no such member" }
      }
    })
  })

  it("asks for nothing that no target is for", () => {
    const { leased, stdout } = ask1(["github_token"], { targets: { openclaw: { "other/*": {} } } })
    assert.deepStrictEqual(leased, [])
    assert.deepStrictEqual(Object.keys(JSON.parse(stdout).errors), ["github_token"])
  })

  it("answers ids that are names of members of every object", () => {
    const { stdout } = ask1(["constructor", "toString"])
    assert.deepStrictEqual(Object.keys(JSON.parse(stdout).errors), ["constructor", "toString"])
  })

  it.each([
    "",
    "{}",
    "[]",
    JSON.stringify({ protocolVersion: 2, ids: [] }),
    JSON.stringify({ protocolVersion: 1, ids: "a" }),
    JSON.stringify({ protocolVersion: 1, ids: [1] }),
    JSON.stringify({ protocolVersion: 1, ids: ["../x"] }),
    JSON.stringify({ protocolVersion: 1, ids: ["a/../b"] }),
    JSON.stringify({ protocolVersion: 1, ids: [""] }),
    JSON.stringify({ protocolVersion: 1, ids: ["a b"] }),
    JSON.stringify({ protocolVersion: 1, ids: ["__proto__"] }),
    JSON.stringify({ protocolVersion: 1, ids: Array.from({ length: 513 }, (_, n) => `id${n}`) })
  ])("rejects the request %.40j", (input) =>
    assert.deepInclude(ask("openclaw", { input, targets, secrets }), { stdout: "", status: 65 })
  )
})

describe("aws", () => {
  const targets = {
    aws: {
      deploy: { access_key_id: "id", secret_access_key: "key", session_token: "session" },
      short: { access_key_id: "id", secret_access_key: "key" },
      json: { secret: "pair" },
      text: { secret: "github_token" }
    }
  }
  const of = (profile: string) =>
    ask("aws", {
      words: [profile],
      targets,
      secrets: { ...secrets, id: "AKIAMADEUP\n", key: "made-up", session: "made-up-2" }
    })

  it("answers with what the profile has, and the end of the first lease", () => {
    const common = { Version: 1, AccessKeyId: "AKIAMADEUP", SecretAccessKey: "made-up", Expiration: ended }
    assert.deepStrictEqual(JSON.parse(of("deploy").stdout), { ...common, SessionToken: "made-up-2" })
    assert.deepStrictEqual(JSON.parse(of("short").stdout), common)
    assert.deepStrictEqual(JSON.parse(of("json").stdout), common)
  })

  it("answers nothing where there is no such profile, or the value is another", () => {
    assert.deepInclude(of("other"), { stdout: "", status: 4, problem: 'aws has no target "other"' })
    assert.strictEqual(of("constructor").status, 4)
    assert.deepInclude(of("text"), { stdout: "", status: 65 })
  })
})

describe("docker", () => {
  const targets = {
    docker: {
      "ghcr.io": { secret: "github_token", username: "me" },
      "https://index.docker.io/v1/": { secret: "github_token", username: "<token>" }
    }
  }
  const get = (input: string) => ask("docker", { words: ["get"], input, targets, secrets })

  it.each([
    ["ghcr.io", "me"],
    ["GHCR.io\n", "me"],
    ["https://ghcr.io", "me"],
    ["https://ghcr.io/v2/", "me"],
    ["https://index.docker.io/v1/", "<token>"],
    ["docker.io", "<token>"]
  ])("answers for %j", (input, username) =>
    assert.deepStrictEqual(JSON.parse(get(input).stdout), {
      ServerURL: input.trim(),
      Username: username,
      Secret: githubToken
    })
  )

  it.each([
    "",
    "ghcr.io.evil",
    "ghcr.io:444",
    "user@ghcr.io",
    "http://ghcr.io",
    "ghcr.io/../x",
    "x\nghcr.io",
    "ghcr.io\u0000"
  ])("finds nothing for %j", (input) =>
    assert.deepStrictEqual(get(input), {
      stdout: "credentials not found in native keychain\n",
      status: 1,
      leased: []
    })
  )

  it("lists the targets, and writes nothing", () => {
    const listed = ask("docker", { words: ["list"], targets })
    assert.deepStrictEqual(JSON.parse(listed.stdout), { "ghcr.io": "me", "https://index.docker.io/v1/": "<token>" })
    for (const action of ["store", "erase"])
      assert.deepStrictEqual(ask("docker", { words: [action], input: "ghcr.io", targets }), {
        stdout: "secrets: kept by agent-secrets; use secrets update NAME\n",
        status: 1,
        leased: []
      })
  })
})

describe("kubernetes", () => {
  const targets = {
    kubernetes: {
      prod: { secret: "github_token", server: "https://k8s.example.com:6443" },
      cert: { client_certificate: "cert", client_key: "key" }
    }
  }
  const info = (version: string, server?: string) => ({
    KUBERNETES_EXEC_INFO: JSON.stringify({
      kind: "ExecCredential",
      apiVersion: `client.authentication.k8s.io/${version}`,
      spec: { cluster: server === undefined ? undefined : { server }, interactive: false }
    })
  })
  const of = (user: string, env: Readonly<Record<string, string>>) =>
    ask("kubernetes", {
      words: [user],
      env,
      targets,
      secrets: { ...secrets, cert: "made-up\npem", key: "made-up\nkey" }
    })

  it.each(["v1", "v1beta1"])("answers %s to %s", (version) => {
    assert.deepStrictEqual(JSON.parse(of("prod", info(version)).stdout), {
      apiVersion: `client.authentication.k8s.io/${version}`,
      kind: "ExecCredential",
      status: { token: githubToken, expirationTimestamp: ended }
    })
  })

  it("answers with a certificate and its key", () => {
    const { status } = JSON.parse(of("cert", info("v1", "https://any.example")).stdout)
    assert.deepInclude(status, { clientCertificateData: "made-up\npem", clientKeyData: "made-up\nkey" })
  })

  it("is for the target's server alone, where the cluster is named", () => {
    assert.strictEqual(of("prod", info("v1", "https://k8s.example.com:6443/")).status, 0)
    for (const other of [
      "https://k8s.example.com",
      "http://k8s.example.com:6443",
      "https://k8s.example.com.evil:6443",
      ""
    ])
      assert.deepInclude(of("prod", info("v1", other)), { stdout: "", status: 65 })
  })

  it.each(["v2", "v1alpha1", ""])("rejects the version %j", (version) =>
    assert.deepInclude(of("prod", info(version)), { stdout: "", status: 65 })
  )
})

describe("askpass", () => {
  const targets = {
    askpass: {
      "Enter passphrase for /home/me/.ssh/id*": { secret: "github_token" },
      "[[]sudo] password for *": { secret: "sudo" }
    }
  }
  const prompt = (text: string, more = {}) =>
    ask("askpass", { words: [text], targets, secrets: { ...secrets, sudo: "made-up" }, ...more })

  it("answers the prompts that it knows", () => {
    assert.strictEqual(prompt("Enter passphrase for /home/me/.ssh/id_ed25519: ").stdout, `${githubToken}\n`)
    assert.strictEqual(prompt("[sudo] password for me: ").stdout, "made-up\n")
    assert.deepInclude(prompt("Password: "), { stdout: "", status: 4 })
    assert.strictEqual(prompt("anything", { name: "github_token" }).stdout, `${githubToken}\n`)
  })

  it("gives a user name without a lease", () => {
    const asked = prompt("Username for 'https://github.com': ", { name: "github_token", username: "me" })
    assert.deepStrictEqual(asked, { stdout: "me\n", status: 0, leased: [] })
  })

  it.each(["confirm", "none"])("does not answer for a person: SSH_ASKPASS_PROMPT=%s", (mode) => {
    const asked = prompt("anything", { name: "github_token", env: { SSH_ASKPASS_PROMPT: mode } })
    assert.deepStrictEqual(asked, { stdout: "", status: 1, leased: [] })
  })
})

describe("terraform", () => {
  const targets = { terraform: { "app.terraform.io": { secret: "github_token" } } }
  it("answers for the host, and with an empty object for any other", () => {
    const get = (host: string) => ask("terraform", { words: ["get", host], targets, secrets }).stdout
    assert.strictEqual(get("app.terraform.io"), `${JSON.stringify({ token: githubToken })}\n`)
    assert.strictEqual(get("App.Terraform.io:443"), `${JSON.stringify({ token: githubToken })}\n`)
    for (const host of ["app.terraform.io.evil", "app.terraform.io:8443", "x@app.terraform.io", ""])
      assert.strictEqual(get(host), "{}\n")
    assert.deepInclude(ask("terraform", { words: ["store", "app.terraform.io"], targets }), { stdout: "", status: 1 })
  })
})

describe("cargo", () => {
  const targets = {
    cargo: {
      "sparse+https://crates.example.com/index/": { secret: "github_token" },
      "https://index.crates.io/": { secret: "github_token" }
    }
  }
  const send = (kind: string, index: string, more = {}) =>
    JSON.parse(
      ask("cargo", {
        input: `${JSON.stringify({ v: 1, registry: { "index-url": index, name: "local" }, kind, operation: "read", args: [], ...more })}\n`,
        targets,
        secrets
      }).stdout
    )

  it("answers for an index, whatever its name", () => {
    for (const index of [
      "sparse+https://crates.example.com/index/",
      "https://crates.example.com/index",
      "https://github.com/rust-lang/crates.io-index",
      "sparse+https://index.crates.io/"
    ])
      assert.deepStrictEqual(send("get", index), {
        Ok: { kind: "get", token: githubToken, cache: "expires", expiration: expiry, operation_independent: true }
      })
  })

  it("passes over other indexes and requests", () => {
    for (const index of [
      "sparse+https://crates.example.com/",
      "sparse+https://evil.example/index/",
      "local",
      "",
      "constructor"
    ])
      assert.deepStrictEqual(send("get", index), { Err: { kind: "url-not-supported" } })
    for (const kind of ["login", "logout", "future"])
      assert.deepStrictEqual(send(kind, "sparse+https://index.crates.io/"), {
        Err: { kind: "operation-not-supported" }
      })
    assert.strictEqual(send("get", "sparse+https://index.crates.io/", { v: 2 }).Err.kind, "other")
    assert.strictEqual(JSON.parse(ask("cargo", { input: "no JSON", targets }).stdout).Err.kind, "other")
  })
})

describe("pip", () => {
  const targets = { pip: { "https://pypi.example.com/simple": { secret: "github_token", username: "me" } } }
  const run = (...words: ReadonlyArray<string>) => ask("pip", { words, targets, secrets })

  it("answers for an index below the address, and its user", () => {
    assert.strictEqual(run("get", "https://pypi.example.com/simple/", "me").stdout, `${githubToken}\n`)
    assert.strictEqual(run("get", "https://pypi.example.com/simple/x/", "me").stdout, `${githubToken}\n`)
    assert.strictEqual(run("get", "https://pypi.example.com/simple", "--mode", "creds").stdout, `me\n${githubToken}\n`)
  })

  it("finds nothing for another user, address or action, or for a host alone", () => {
    for (const words of [
      ["get", "https://pypi.example.com/simple/", "they"],
      ["get", "https://pypi.example.com/", "me"],
      ["get", "http://pypi.example.com/simple/", "me"],
      ["get", "pypi.example.com", "me"],
      ["set", "https://pypi.example.com/simple/", "me"],
      []
    ])
      assert.deepStrictEqual(run(...words), { stdout: "", status: 1, leased: [] })
  })
})
