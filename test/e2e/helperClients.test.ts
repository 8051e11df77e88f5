/**
 * The programs that call `secrets helper`, each as it is: they get the credential through it, and
 * a server on loopback sees it. A client that is not installed is left out, by name.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type * as http from "node:http"
import * as path from "node:path"
import { basic, itWith, leaveOut, passToGit, runProgram, selfSigned, stubServer } from "../harness/clients.ts"
import { auditOf, rpc, startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { canBeOthers, openPlace, type User } from "../support/users.ts"

const token = "made-up-token"
const passphrase = "made-up passphrase"
const nobody: User = { uid: 65_534, groups: [65_534] }
const daemon = sharedDaemon({ token, key_id: "AKIAMADEUP", passphrase, rejected: "made-up-old" })

/** Writes the targets, which helpers read at each call, and returns what clients run with. */
const setup = Effect.fnUntraced(function* (helpers: object) {
  const shared = daemon()
  const cwd = yield* temporaryDirectory
  const config = path.join(cwd, "settings.json")
  fs.writeFileSync(config, JSON.stringify({ helpers, directory: shared.directory }))
  const env = { HOME: cwd, PATH: `${path.join(cwd, "bin")}:/usr/bin:/bin`, AGENT_SECRETS_CONFIG: config, LC_ALL: "C" }
  const secrets = (...args: ReadonlyArray<string>) =>
    Effect.map(shared.secrets([...args, "--config", config]), ({ status, stderr, stdout }) => {
      assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
      return stdout
    })
  /** Writes the program that clients find by its name; returns its path. */
  const shim = (...words: ReadonlyArray<string>) =>
    Effect.map(secrets("helper", "shim", ...words, "--dir", path.join(cwd, "bin")), (said) =>
      said.replace(/^wrote (.*)\n[^]*$/, "$1")
    )
  const write = (name: string, text: string) => {
    const file = path.join(cwd, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text, { mode: 0o600 })
    return file
  }
  const audited = (via: string) => auditOf(shared.directory).findLast((entry) => entry["via"] === via)
  return { cwd, env, secrets, shim, write, audited }
})

const refuse = (response: http.ServerResponse) => void response.writeHead(401, { "WWW-Authenticate": "Basic" }).end()
const reply = (response: http.ServerResponse, body: unknown, headers: http.OutgoingHttpHeaders = {}) =>
  void response.writeHead(200, headers).end(typeof body === "string" ? body : JSON.stringify(body))

// Each test has servers, targets and a protocol of its own, and its client waits more than it computes.
describe("secrets helper", { concurrent: true }, () => {
  itWith(["git"], "lets git clone, fetch and push, and records what a server rejects", (git = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* temporaryDirectory
        const password = basic("x-access-token", token)
        const server = yield* stubServer((request, response) =>
          request.headers.authorization === password ? passToGit(git, root, request, response) : refuse(response)
        )
        const strict = yield* stubServer((_, response) => refuse(response))
        const [url, strictUrl] = [server, strict].map(({ port }) => `http://127.0.0.1:${port}`)
        const targets = { [`${url}`]: { secret: "token" }, [`${strictUrl}`]: { secret: "rejected" } }
        const { audited, cwd, env, secrets } = yield* setup({ git: targets })
        const who = ["AUTHOR", "COMMITTER"].flatMap((one) => [
          [`GIT_${one}_NAME`, "a"],
          [`GIT_${one}_EMAIL`, "a@example.org"]
        ])
        const own = { ...env, ...Object.fromEntries(who), GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_NOSYSTEM: "1" }
        const sh = (script: string) => runProgram("/bin/sh", ["-euc", script], { env: own, cwd })
        const done = yield* sh(`
          git init -q --bare '${root}/r.git'; git -C '${root}/r.git' config http.receivepack true
          ${yield* secrets("helper", "config", "git", `${url}`)}
          ${yield* secrets("helper", "config", "git", `${strictUrl}`)}
          git clone -q ${url}/r.git one 2>/dev/null; cd one
          git commit -q --allow-empty -m made-up; git push -q origin HEAD:refs/heads/main
          git fetch -q; git ls-remote ${url}/r.git`)
        assert.deepStrictEqual([done.status, done.stderr], [0, ""])
        assert.match(done.stdout, /^[0-9a-f]{40}\trefs\/heads\/main$/m)
        assert.deepInclude(audited("helper:git"), { action: "lease_acquire", program: "git-remote-http" })
        const refused = yield* sh(`git ls-remote ${strictUrl}/r.git`)
        assert.strictEqual(refused.status, 128)
        assert.deepInclude(audited("helper:git"), { action: "credential_rejected", secret_name: "rejected" })
        const other = yield* sh(
          `printf 'protocol=http\\nhost=127.0.0.1.evil:${server.port}\\n\\n' | git credential fill`
        )
        assert.strictEqual(other.status, 128)
        assert.notInclude([done, refused, other].map(({ stderr, stdout }) => stdout + stderr).join(), token)
      })
    )
  )

  itWith(["docker"], "lets docker read a manifest", (docker = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* stubServer((request, response) =>
          request.headers.authorization === undefined
            ? refuse(response)
            : reply(
                response,
                {
                  schemaVersion: 2,
                  mediaType: "application/vnd.docker.distribution.manifest.v2+json",
                  config: {},
                  layers: []
                },
                { "Content-Type": "application/vnd.docker.distribution.manifest.v2+json" }
              )
        )
        const registry = `localhost:${server.port}`
        const { audited, cwd, env, shim, write } = yield* setup({
          docker: { [registry]: { secret: "token", username: "me" } }
        })
        yield* shim("docker")
        write(".docker/config.json", JSON.stringify({ credHelpers: { [registry]: "agent-secrets" } }))
        yield* runProgram(docker, ["manifest", "inspect", "--insecure", `${registry}/foo:latest`], { env, cwd })
        assert.include(
          server.seen.map(([, sent]) => sent),
          basic("me", token)
        )
        assert.deepInclude(audited("helper:docker"), { action: "lease_acquire", program: "docker" })
      })
    )
  )

  itWith(["aws"], "lets the AWS command sign a request", (aws = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* stubServer((_, response) =>
          reply(
            response,
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
          )
        )
        const { audited, cwd, env, secrets, write } = yield* setup({
          aws: { deploy: { access_key_id: "key_id", secret_access_key: "token" } }
        })
        write(".aws/config", yield* secrets("helper", "config", "aws", "deploy"))
        const call = [
          "--profile",
          "deploy",
          "--region",
          "us-east-1",
          "--endpoint-url",
          `http://127.0.0.1:${server.port}`
        ]
        const { status, stderr } = yield* runProgram(aws, [...call, "sts", "get-caller-identity"], { env, cwd })
        assert.deepStrictEqual([status, stderr], [0, ""])
        assert.match(server.seen[0]?.[1] ?? "", /Credential=AKIAMADEUP\//)
        assert.deepInclude(audited("helper:aws"), { action: "lease_acquire", details: "TTL: 1h0m0s" })
      })
    )
  )

  itWith(["kubectl", "openssl"], "lets kubectl authenticate", (kubectl = "", openssl = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const known = yield* runProgram(kubectl, ["version", "--client"], { env: { PATH: "/usr/bin:/bin" }, cwd: "/" })
        const minor = Number(/v?1\.(\d+)\.|Minor:"(\d+)/.exec(known.stdout)?.slice(1).find(Boolean) ?? 99)
        // Before 1.22 it knows only beta versions of the protocol.
        const version = minor < 22 ? "k8s.io/v1beta1" : "k8s.io/v1"
        const certificate = yield* selfSigned(openssl, yield* temporaryDirectory)
        const server = yield* stubServer((_, response) => reply(response, "made up"), certificate)
        const cluster = `https://127.0.0.1:${server.port}`
        const { audited, cwd, env, secrets, write } = yield* setup({
          kubernetes: {
            prod: { secret: "token", server: cluster },
            other: { secret: "token", server: "https://other" }
          }
        })
        const use = Effect.fnUntraced(function* (user: string) {
          const users = (yield* secrets("helper", "config", "kubernetes", user)).replace("k8s.io/v1", version)
          const rest = [
            "apiVersion: v1",
            "kind: Config",
            "current-context: c",
            `contexts: [{ name: c, context: { cluster: k, user: ${user} } }]`,
            `clusters: [{ name: k, cluster: { server: "${cluster}", certificate-authority: "${certificate.file}" } }]`
          ]
          const config = write("kubeconfig", `${rest.join("\n")}\n${users}`)
          return yield* runProgram(kubectl, ["--kubeconfig", config, "get", "--raw", "/x"], { env, cwd })
        })
        const { status, stderr, stdout } = yield* use("prod")
        assert.deepStrictEqual([status, stderr, stdout], [0, "", "made up"])
        assert.deepInclude(server.seen, ["/x", `Bearer ${token}`])
        assert.deepInclude(audited("helper:kubernetes"), { action: "lease_acquire", program: "kubectl" })
        const refused = yield* use("other")
        assert.include(refused.stderr, 'the target "other" is for another server than the cluster\'s')
      })
    )
  )

  itWith(["terraform", "openssl"], "lets terraform ask its host", (terraform = "", openssl = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const certificate = yield* selfSigned(openssl, yield* temporaryDirectory)
        const server = yield* stubServer((_, response) => void response.writeHead(404).end(), certificate)
        const host = `localhost:${server.port}`
        const { audited, cwd, env, secrets, write } = yield* setup({ terraform: { [host]: { secret: "token" } } })
        const plugins = ["--dir", path.join(cwd, ".terraform.d/plugins")]
        yield* secrets("helper", "shim", "terraform", ...plugins)
        write(".terraformrc", yield* secrets("helper", "config", "terraform", host, ...plugins))
        const remote = `hostname = "${host}"\n organization = "a"\n workspaces { name = "b" }`
        write("main.tf", `terraform {\n backend "remote" {\n ${remote}\n }\n}\n`)
        const own = { ...env, SSL_CERT_FILE: certificate.file, CHECKPOINT_DISABLE: "1" }
        yield* runProgram(terraform, ["init", "-no-color"], { env: own, cwd })
        assert.deepInclude(server.seen, ["/.well-known/terraform.json", `Bearer ${token}`])
        assert.deepInclude(audited("helper:terraform"), { action: "lease_acquire", program: "terraform" })
      })
    )
  )

  itWith(["ssh-add", "ssh-keygen", "ssh-agent"], "lets ssh-add open a key", (add = "", keygen = "", agent = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const { audited, cwd, env, shim } = yield* setup({
          askpass: { "Enter passphrase for *": { secret: "passphrase" } }
        })
        const askpass = yield* shim("askpass")
        const key = path.join(cwd, "id")
        const made = yield* runProgram(keygen, ["-q", "-t", "ed25519", "-N", passphrase, "-f", key], { env, cwd })
        assert.strictEqual(made.status, 0, made.stderr)
        const asked = { ...env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force" }
        const added = yield* runProgram(agent, ["/bin/sh", "-c", `'${add}' '${key}' && '${add}' -l`], {
          env: asked,
          cwd
        })
        assert.match(added.stdout, /^256 SHA256:.*ED25519/m, added.stderr)
        assert.deepInclude(audited("helper:askpass"), { action: "lease_acquire", program: "ssh-add" })
      })
    )
  )

  itWith(["sudo", "setpriv"], "answers the prompt of sudo", (sudo = "", setpriv = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        // Root is not asked, and only root can become a user who is.
        if (!canBeOthers) return leaveOut("root", "answers the prompt of sudo")
        const { as, directory } = yield* openPlace
        const home = directory("home", nobody)
        const state = directory("home/.agent-secrets", nobody)
        const helpers = { askpass: { "[[]sudo] password for *": { secret: "password" } } }
        fs.writeFileSync(path.join(state, "config.json"), JSON.stringify({ helpers }), { mode: 0o644 })
        const { socket } = yield* startDaemon(as(nobody, home))
        yield* rpc(socket, "add", { name: "password", value: passphrase })
        const { stderr, stdout } = yield* run(["helper", "shim", "askpass"], as(nobody, home))
        const shim = /^wrote (.*)$/m.exec(stdout)?.[1] ?? assert.fail(stderr)
        // It answers once: sudo waits two seconds after each wrong password.
        const askpass = path.join(home, "once")
        fs.writeFileSync(askpass, `#!/bin/sh\nmkdir '${home}/asked' && exec '${shim}' "$@"\n`, { mode: 0o755 })
        const words = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", sudo, "-A", "-k", "true"]
        const env = { HOME: home, PATH: "/usr/bin:/bin", SUDO_ASKPASS: askpass, LC_ALL: "C" }
        const refused = yield* runProgram(setpriv, words, { env, cwd: "/" })
        // The user has no password, so none is right.
        assert.strictEqual(refused.status, 1)
        const given = auditOf(state).findLast((entry) => entry["action"] === "lease_acquire")
        assert.deepInclude(given, { via: "helper:askpass", program: "sudo", success: true })
      })
    )
  )

  itWith(["pip3"], "lets pip read an index", (pip = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* stubServer((request, response) =>
          request.headers.authorization === basic("me", token)
            ? reply(response, "<html></html>", { "Content-Type": "text/html" })
            : refuse(response)
        )
        const index = `http://127.0.0.1:${server.port}/simple`
        const { audited, cwd, env, shim } = yield* setup({ pip: { [index]: { secret: "token", username: "me" } } })
        yield* shim("pip")
        const own = {
          ...env,
          PATH: `${cwd}/bin/pip:${env.PATH}`,
          PIP_DISABLE_PIP_VERSION_CHECK: "1",
          PIP_CONFIG_FILE: "/dev/null"
        }
        const words = [
          "download",
          "--no-input",
          "--no-cache-dir",
          "--keyring-provider",
          "subprocess",
          "--index-url",
          index.replace("//", "//me@"),
          "made-up"
        ]
        const { stderr } = yield* runProgram(pip, words, { env: own, cwd })
        if (/no such option: --keyring-provider/.test(stderr)) return leaveOut("pip 23.1", "lets pip read an index")
        assert.include(
          server.seen.map(([, sent]) => sent),
          basic("me", token)
        )
        assert.deepInclude(audited("helper:pip"), { action: "lease_acquire" })
      })
    )
  )

  itWith(["cargo"], "lets cargo read a private index", (cargo = "") =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* stubServer((request, response) => {
          if (request.headers.authorization !== token) return void response.writeHead(401).end()
          if (request.url?.endsWith("/config.json"))
            return reply(response, { dl: "http://127.0.0.1:1/", "auth-required": true })
          return reply(
            response,
            `${JSON.stringify({ name: "made-up", vers: "1.0.0", deps: [], cksum: "0".repeat(64), features: {}, yanked: false })}\n`
          )
        })
        const index = `sparse+http://127.0.0.1:${server.port}/index/`
        const { audited, cwd, env, shim, write } = yield* setup({ cargo: { [index]: { secret: "token" } } })
        const provider = yield* shim("cargo")
        write(
          ".cargo/config.toml",
          `[registry]\nglobal-credential-providers = ["${provider}"]\n[registries.made-up]\nindex = "${index}"\n`
        )
        write("p/src/lib.rs", "")
        write(
          "p/Cargo.toml",
          `[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nmade-up = { version = "1", registry = "made-up" }\n`
        )
        const rustup = path.resolve(path.dirname(cargo), "../../.rustup")
        const own = {
          ...env,
          PATH: `${path.dirname(cargo)}:${env.PATH}`,
          CARGO_HOME: `${cwd}/.cargo`,
          ...(fs.existsSync(rustup) ? { RUSTUP_HOME: rustup } : {})
        }
        const locked = yield* runProgram(cargo, ["generate-lockfile"], { env: own, cwd: path.join(cwd, "p") })
        assert.strictEqual(locked.status, 0, locked.stderr)
        assert.include(fs.readFileSync(path.join(cwd, "p/Cargo.lock"), "utf8"), 'name = "made-up"')
        assert.deepInclude(audited("helper:cargo"), { action: "lease_acquire", program: "cargo" })
      })
    )
  )
})
