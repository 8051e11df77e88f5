/**
 * An approval as its users meet it: a terminal that waits, a program that does not, an agent that
 * may not answer, and a daemon of its own user whose answers come through one socket alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { startDaemon } from "../harness/daemon.ts"
import { run, type RunOptions, shellWords } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { openTerminal, runInTerminal } from "../harness/terminal.ts"
import { canBeOthers, openPlace, type User } from "../support/users.ts"

const value = "a-made-up-value"
const daemon = sharedDaemon(
  { once: value, held: value, asked: value, screen: value },
  {
    policy: [
      { secrets: ["asked"], approval: "always" },
      { secrets: ["once", "screen"], approval: "always" },
      { secrets: ["held"], approval: "15m" }
    ],
    approval: { command: ["/bin/sh", "-c", 'case "$1" in *asked*) exit 0;; *) exit 9;; esac', "asker"] }
  }
)

describe.concurrent("an approval", () => {
  it.live("is awaited by a lease on a terminal, and given there by another one", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const waiting = openTerminal(`${shellWords} lease once`, home)
      const shown = yield* Effect.promise(() => waiting.shows(/waiting for approval: secrets approve [A-Z]{4}\r?\n/))
      const [, id = ""] = /secrets approve ([A-Z]{4})/.exec(shown) ?? []
      const approved = yield* Effect.promise(() => runInTerminal(`approve ${id}`, home))
      assert.match(approved.shown, /^approved once: once for .* via lease, TTL 1h\r?\n$/)
      const ended = yield* Effect.promise(() => waiting.ended)
      assert.deepInclude(ended, { status: 0 })
      assert.include(ended.shown, value)
    })
  )

  it.live("is not awaited by programs: status 10 with the id, 5 after a no, and exec runs once there is a yes", () =>
    Effect.gen(function* () {
      const { call, home, secrets } = daemon()
      const exec = ["exec", "--secret", "held", "--client-id", "agent", "--json", "--", "printenv", "HELD"]
      const pending = yield* secrets(exec)
      assert.strictEqual(pending.status, 10)
      const { error } = JSON.parse(pending.stdout)
      assert.strictEqual(error.code, "ApprovalPending")
      const noTerminal = yield* secrets(["approve", error.request_id])
      assert.deepStrictEqual([noTerminal.status, noTerminal.stdout], [2, ""])
      assert.include(noTerminal.stderr, "standard input must be a terminal")
      const listed = (yield* secrets(["requests"])).stdout
      assert.match(listed, new RegExp(`^\\S+ +${error.request_id} +agent +held +exec +\\S*printenv +1h$`, "m"))
      assert.strictEqual((yield* secrets(["deny", error.request_id, "--why", "not now"])).status, 0)
      assert.match(listed, /^Answer: secrets approve ([A-Z]{4}), or secrets deny \1$/m)
      const twice = yield* secrets(["deny", error.request_id])
      assert.deepStrictEqual([twice.status, twice.stdout], [4, ""])
      assert.include(twice.stderr, `request "${error.request_id}" is not open any more: denied`)
      const denied = yield* secrets(exec)
      assert.strictEqual(denied.status, 5)
      const refusal = JSON.parse(denied.stdout)
      assert.include(refusal.error.message, "not now")
      assert.match(refusal.fix, new RegExp(`: secrets approve ${error.request_id}$`))
      // A no that was a mistake.
      yield* Effect.promise(() => runInTerminal(`approve ${error.request_id} --for 10m`, home))
      for (let times = 0; times < 2; times += 1) assert.strictEqual((yield* secrets(exec)).stdout, `${value}\n`)
      const use = { secret_name: "held", client_id: "agent", via: "exec" }
      const { result } = yield* call("secrets.explainPolicy", use)
      assert.deepInclude(result, { approval: "for 15m", approval_state: "granted" })
      assert.match((yield* secrets(["approve", "--revoke", "agent", "held"])).stdout, /^approvals ended: 1\n$/)
      const nothing = yield* secrets(["approve", "--revoke", "agent", "held"])
      assert.strictEqual(nothing.status, 4)
      assert.include(nothing.stderr, 'no approval of "agent" for "held" holds')
      assert.strictEqual((yield* secrets(exec)).status, 10)
    })
  )

  it.live("is refused in the environment of an agent, also on a terminal", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const agent = openTerminal(`CLAUDECODE=1 ${shellWords} approve AAAA`, home)
      const { shown, status } = yield* Effect.promise(() => agent.ended)
      assert.strictEqual(status, 2)
      assert.include(shown, "CLAUDECODE is set")
    })
  )

  it.live("is asked for by a program of the settings", () =>
    Effect.gen(function* () {
      const { secrets } = daemon()
      const leased = yield* secrets(["lease", "asked", "--approval-wait", "30s"])
      assert.deepStrictEqual([leased.status, leased.stdout], [0, value], leased.stderr)
    })
  )
})

describe("the screen of requests --watch", () => {
  it.live("answers the request that a digit has selected, and no other", () =>
    Effect.gen(function* () {
      const { call, home } = daemon()
      const ask = (client_id: string) => call("lease", { secret_name: "screen", client_id })
      for (const client of ["first", "second"]) yield* ask(client)
      const { result } = yield* call("requests.list", { secret_name: "screen" })
      const [first, second] = result.requests.map((one: any) => one.request_id)
      const screen = openTerminal(`TERM=xterm ${shellWords} requests --watch`, home)
      const shows = (text: string | RegExp) => Effect.promise(() => screen.shows(text))
      const select = Effect.fnUntraced(function* (id: string) {
        const shown = yield* shows(new RegExp(`[1-9] +\\S+ +${id} `))
        const [, digit = ""] = new RegExp(`([1-9]) +\\S+ +${id} `).exec(shown) ?? []
        screen.type(digit)
        yield* shows(new RegExp(`>${digit} +\\S+ +${id} `))
      })
      yield* shows("q: quit")
      screen.type("y")
      yield* shows("select one first")
      yield* select(second)
      screen.type("y")
      yield* shows("approved: screen for second")
      yield* select(first)
      screen.type("n")
      yield* shows("denied: screen for first")
      screen.type("q")
      const { status } = yield* Effect.promise(() => screen.ended)
      assert.strictEqual(status, 0)
      assert.strictEqual((yield* ask("second")).result.value, value)
      assert.strictEqual((yield* ask("first")).error.code, -32011)
    })
  )
})

/** The same program as the same user, with a terminal. */
const onTerminal = ({ through = "", ...options }: RunOptions): RunOptions => ({
  ...options,
  through: through.replace(
    /-- (.*) "\$@"$/,
    (_, words: string) => `-- script -qec "${words.replaceAll("'", "")} $*" /dev/null`
  )
})

const people = 31_300
const service: User = { uid: 31_301, groups: [31_301, people, 31_310] }
const person: User = { uid: 31_302, groups: [31_302, people] }
const agent: User = { uid: 31_311, groups: [31_311, 31_310] }

describe.runIf(canBeOthers)("a daemon of its own user", () => {
  it.live("takes answers through the socket of the approvers alone", () =>
    Effect.gen(function* () {
      const place = yield* openPlace
      const home = place.directory("service", service, 0o755)
      place.directory("service/.agent-secrets", service)
      place.directory("service/run", service, 0o755)
      const at = (name: string) => path.join(home, "run", `${name}.sock`)
      const settings = {
        sockets: [
          { path: at("approve"), role: "approve", mode: "0660", group: `${people}` },
          { path: at("agents"), role: "lease", mode: "0660", group: "31310", secrets: ["*"], client_prefix: "agents/" }
        ],
        policy: [{ secrets: ["*"], approval: "always" }]
      }
      fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify(settings))
      const asService = place.as(service, home)
      yield* startDaemon(asService)
      yield* run(["add", "db", "--value", value], asService)
      const homes = new Map([person, agent].map((user) => [user, place.directory(`home-${user.uid}`, user)]))
      const secrets = (user: User, name: string, words: string) =>
        run([...words.split(" "), "--socket", at(name)], place.as(user, homes.get(user) ?? home))
      const lease = secrets(agent, "agents", "lease db --client-id codex --json")
      const { error } = JSON.parse((yield* lease).stdout)
      assert.strictEqual(error.code, "ApprovalPending")
      const id = error.request_id
      // The agent cannot answer through its socket, nor open the other one.
      const own = yield* secrets(agent, "agents", `deny ${id}`)
      assert.deepStrictEqual([own.status, own.stdout], [5, ""])
      assert.strictEqual((yield* secrets(agent, "approve", `deny ${id}`)).status, 7)
      const listed = yield* secrets(person, "approve", "requests")
      assert.include(listed.stdout, "agents/codex")
      // A value goes through no socket of the approvers.
      assert.strictEqual((yield* secrets(person, "approve", "lease db")).status, 5)
      const approved = yield* run(
        ["approve", id, "--socket", at("approve")],
        onTerminal(place.as(person, homes.get(person) ?? home))
      )
      assert.include(approved.stdout, "approved once: db for agents/codex")
      const leased = JSON.parse((yield* lease).stdout)
      assert.strictEqual(leased.result?.value, value)
    })
  )
})
