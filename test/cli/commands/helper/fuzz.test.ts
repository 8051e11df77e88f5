/**
 * Requests of helpers made of random pieces: each gets one answer of its protocol or none, nothing
 * throws, and no value goes to a target that is not exactly one of those that have it.
 */
import { assert, describe, it } from "@effect/vitest"
import { randomFrom } from "../../../support/random.ts"
import { ask } from "./ask.ts"

const value = "made-up-token"
const secrets = { token: value }
const rounds = 2000

const pieces = [
  "protocol=",
  "host=",
  "path=",
  "username=",
  "https",
  "http",
  "github.com",
  "GitHub.com",
  ".evil",
  "evil.",
  "127.0.0.1",
  ":443",
  ":8080",
  "@",
  "/",
  "..",
  "team",
  "%2e%2e",
  "\\",
  "\n",
  "\n\n",
  "=",
  "\0",
  "\r",
  "\u001b[2J",
  "capability[]=authtype",
  "quit=1",
  "[",
  "]",
  "https://",
  "ghcr.io",
  "\u0261",
  "x".repeat(300),
  "{",
  "}",
  '"',
  "v1",
  "1"
]

describe("random requests", () => {
  const { below: number, pick } = randomFrom(20_261_130)
  const text = () => String.fromCodePoint(number(0x3000))
  const joined = (some: ReadonlyArray<string>, most: number) =>
    Array.from({ length: number(most) }, () => (number(10) === 0 ? text() : pick(some))).join("")

  it("of git", () => {
    const targets = {
      git: { "https://github.com": { secret: "token" }, "https://evil.example/team": { secret: "token" } }
    }
    let answered = 0
    for (let n = 0; n < rounds; n += 1) {
      const host = number(3) === 0 ? "github.com" : joined(pieces, 4)
      const path = number(2) === 0 ? "" : `path=${joined(pieces, 4)}\n`
      const input = number(2) === 0 ? joined(pieces, 30) : `protocol=https\nhost=${host}\n${path}\n`
      const { leased, status, stdout } = ask("git", { words: ["get"], input, targets, secrets })
      if (leased.length === 0) {
        assert.deepStrictEqual([stdout, status], ["", 0])
        continue
      }
      answered += 1
      assert.match(
        stdout,
        /^(capability\[\]=authtype\n)?username=[^\n\0]*\npassword=made-up-token\npassword_expiry_utc=\d+\n(ephemeral=1\n)?\n$/
      )
      // What git itself would take the request for: the last line of each name before the empty one.
      const last = (name: string) =>
        input
          .split(/^\n|\n\n/)[0]
          ?.split("\n")
          .findLast((line) => line.startsWith(`${name}=`))
          ?.slice(name.length + 1)
      assert.deepStrictEqual(
        [last("protocol"), last("host")?.toLowerCase().replace(":443", "")],
        ["https", "github.com"]
      )
    }
    assert.isAbove(answered, 100)
  })

  it("of docker", () => {
    const targets = { docker: { "ghcr.io": { secret: "token", username: "me" } } }
    for (let n = 0; n < rounds; n += 1) {
      const input =
        number(4) === 0
          ? `${pick(["", "https://"])}ghcr.io${pick(["", "\n", "/", "/v2/", ...pieces])}`
          : joined(pieces, 6)
      const { leased, status, stdout } = ask("docker", { words: ["get"], input, targets, secrets })
      if (leased.length === 0)
        assert.deepStrictEqual([stdout, status], ["credentials not found in native keychain\n", 1])
      else {
        assert.match(input, /^(https:\/\/)?ghcr\.io(:443)?(\/+(v[12]\/*)?)?(\r?\n|$)/i)
        assert.deepInclude(JSON.parse(stdout), { Username: "me", Secret: value })
      }
    }
  })

  const json = (depth = 0): unknown => {
    const kind = number(depth > 2 ? 4 : 6)
    if (kind === 0) return pick(pieces)
    if (kind === 1) return number(5)
    if (kind === 2) return null
    if (kind === 3) return pick(["get", "login", "ExecCredential", "client.authentication.k8s.io/v1"])
    if (kind === 4) return Array.from({ length: number(3) }, () => json(depth + 1))
    const names = [
      "v",
      "kind",
      "registry",
      "index-url",
      "apiVersion",
      "spec",
      "cluster",
      "server",
      "ids",
      "protocolVersion",
      "__proto__",
      "constructor"
    ]
    return Object.fromEntries(Array.from({ length: number(6) }, () => [pick(names), json(depth + 1)]))
  }
  /** JSON, whole or damaged. */
  const line = () => {
    const whole = JSON.stringify(json())
    return number(4) === 0 ? whole.slice(0, number(whole.length + 1)) + joined(pieces, 2) : whole
  }

  it("of kubectl", () => {
    const targets = { kubernetes: { prod: { secret: "token", server: "https://k8s.example.com" } } }
    for (let n = 0; n < rounds; n += 1) {
      const { leased, status, stdout } = ask("kubernetes", {
        words: ["prod"],
        env: { KUBERNETES_EXEC_INFO: line() },
        targets,
        secrets
      })
      if (leased.length === 0) assert.deepStrictEqual([stdout, status], ["", 65])
      else assert.deepInclude(JSON.parse(stdout), { kind: "ExecCredential" })
    }
  })

  it("of cargo and OpenClaw", () => {
    const targets = { cargo: { "https://crates.example.com/": { secret: "token" } }, openclaw: { token: {} } }
    for (let n = 0; n < rounds; n += 1) {
      const input = line()
      const cargo = ask("cargo", { input, targets, secrets })
      assert.deepStrictEqual([cargo.leased, cargo.status, cargo.stdout.split("\n").length], [[], 0, 2])
      assert.deepStrictEqual(Object.keys(JSON.parse(cargo.stdout)), ["Err"])
      const openclaw = ask("openclaw", { input, targets, secrets })
      if (openclaw.status === 0) assert.strictEqual(JSON.parse(openclaw.stdout).protocolVersion, 1)
      else assert.deepStrictEqual([openclaw.stdout, openclaw.status], ["", 65])
    }
  })
})
