/**
 * Random policies, each compared with a second matcher that was written for this: what is
 * leased, refused and not found. Globs that would take a backtracking matcher ages, rules beyond
 * the limit, and policies that are replaced under load.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { start } from "../harness/program.ts"
import { quantile } from "../harness/quantile.ts"
import type { Random } from "../support/random.ts"
import { temporaryHome } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"
import * as Effect from "effect/Effect"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

interface Rule {
  readonly secrets: ReadonlyArray<string>
  readonly clients?: ReadonlyArray<string>
  readonly via?: ReadonlyArray<string>
  readonly commands?: ReadonlyArray<string>
}

interface Question {
  readonly secret_name: string
  readonly client_id: string
  readonly via: string
  readonly program: string
}

/** Few letters, so that globs match often. */
const names = ["a", "ab", "abc", "b", "ba", "a/b", "A", "a.b", "[a]", "aab"]
const globs = ["*", "a*", "*a", "?", "[ab]*", "[!a]*", "a?c", "*b*", "a", "ab", "a/*", "[a-b]b", "*[c]", "**", "."]
const ways = ["lease", "exec", "env", "mcp", "helper:git"]
const wayGlobs = ["lease", "exec", "env", "mcp", "helper:git", "helper:*", "*"]

const some = <A>(random: Random, from: ReadonlyArray<A>, most = 3): ReadonlyArray<A> =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(from))

const randomRule = (random: Random): Rule => ({
  secrets: some(random, globs),
  ...(random.next() < 0.6 && { clients: some(random, globs) }),
  ...(random.next() < 0.5 && { via: random.next() < 0.15 ? [] : some(random, wayGlobs) }),
  ...(random.next() < 0.3 && { commands: some(random, globs) })
})

/** The second matcher: tries every split of the text at a star. */
const matches = (glob: string, text: string): boolean => {
  if (glob === "") return text === ""
  if (glob.startsWith("*")) return matches(glob.slice(1), text) || (text !== "" && matches(glob, text.slice(1)))
  if (text === "") return false
  const set = /^\[(!?)([^\]]+)\]/.exec(glob)
  if (set !== null) {
    const [all, not, members = ""] = set
    const isIn = members === "a-b" ? /[a-b]/.test(text.charAt(0)) : members.includes(text.charAt(0))
    return isIn === (not === "") && matches(glob.slice(all.length), text.slice(1))
  }
  return (glob.startsWith("?") || glob.charAt(0) === text.charAt(0)) && matches(glob.slice(1), text.slice(1))
}

const anyOf = (list: ReadonlyArray<string> | undefined, text: string): boolean =>
  list === undefined || list.some((glob) => matches(glob, text))

const expected = (rules: ReadonlyArray<Rule>, { client_id, program, secret_name, via }: Question): string => {
  const rule = rules.find(({ clients, secrets }) => anyOf(secrets, secret_name) && anyOf(clients, client_id))
  if (rule === undefined || rule.via?.length === 0) return "SecretNotFound"
  if (!anyOf(rule.via, via)) return "PolicyDenied"
  const runs = via === "exec" || via === "mcp"
  const isCommand = (rule.commands ?? ["*"]).some((glob) =>
    matches(glob, glob.includes("/") ? program : program.slice(program.lastIndexOf("/") + 1))
  )
  return runs && !isCommand ? "PolicyDenied" : "leased"
}

const write = (home: string, policy: ReadonlyArray<object>) =>
  fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ policy }), { mode: 0o600 })

/** Replaces the policy of a running daemon, and waits until it applies. */
const replace = async (target: Target, rules: ReadonlyArray<Rule>) => {
  const done = () => target.stderr().split("the policy is another one").length
  const before = done()
  write(target.home, rules)
  target.signal("SIGHUP")
  await Effect.runPromise(until(() => done() > before))
}

/** Globs that match late or never, for a name for which a matcher that goes back everywhere would take ages. */
const hostile = [`${"*a".repeat(100)}*b`, `${"*a".repeat(100)}*b*`, `*${"a".repeat(200)}b*`, `*b${"a".repeat(200)}*`]
const hostileSets = [`${"?*".repeat(60)}x*`, `${"[a-z]*".repeat(40)}!*`, `*${"[ab]".repeat(60)}!*`]
/** How long a command waits. */
const patience = 3500
const longName = "a".repeat(16_000)

const policyRounds = async ({ log, random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
  write(home, [{ secrets: ["*"] }])
  const target = await untilReady(launch({ home }))
  const client = new Client(target.socket)
  const counts = { asked: 0, wrong: 0, leased: 0, slow: 0, refused: 0, accepted: 0 }
  const took: Array<number> = []
  try {
    for (const name of names) await client.ask("add", { name, value: `made up ${name}` })
    for (let round = 0; round < rounds; round += 1) {
      const rules = Array.from({ length: 1 + random.below(50) }, () => randomRule(random))
      // Two equal policies would not be loaded twice.
      await replace(target, [...rules, { secrets: [`round ${round}`] }])
      for (let n = 0; n < 200; n += 1) {
        const [secret_name, client_id] = [random.pick(names), random.pick(names)]
        const question = { secret_name, client_id, via: random.pick(ways), program: `/usr/bin/${random.pick(names)}` }
        const { error, result } = (await client.ask("lease", question)) ?? {}
        const found = result === undefined ? String(Object(Object(error).data).tag) : "leased"
        counts.asked += 1
        if (found === "leased") counts.leased += 1
        if (found === expected(rules, question)) continue
        counts.wrong += 1
        log(`${JSON.stringify(question)}: ${found}, not ${expected(rules, question)} under ${JSON.stringify(rules)}`)
      }
    }
    for (const [count, secrets] of [
      [999, hostile],
      [50, hostileSets]
    ] as const) {
      await replace(target, [...Array.from({ length: count }, () => ({ secrets })), { secrets: ["a"] }])
      for (let n = 0; n < 10; n += 1) {
        const begun = performance.now()
        await client.ask("lease", { secret_name: longName, client_id: "x" })
        took.push(performance.now() - begun)
      }
    }
    counts.slow = took.filter((millis) => millis > patience).length
    // Too many rules are refused by a start, and change nothing at SIGHUP.
    for (const size of [1001, 10_000]) {
      write(
        home,
        Array.from({ length: size }, () => ({ secrets: ["*"] }))
      )
      const second = temporaryHome()
      fs.cpSync(path.join(home, ".agent-secrets/config.json"), path.join(second, ".agent-secrets/config.json"))
      const { status, stderr } = await start(["serve"], { home: second }).ended
      fs.rmSync(second, { recursive: true })
      if (status === 78 && stderr.includes("policy must be a list of at most 1000 rules")) counts.refused += 1
      else log(`${size} rules: status ${status}, ${stderr}`)
      target.signal("SIGHUP")
      await Effect.runPromise(until(() => target.stderr().includes("the policy stays as it is")))
      if ((await client.ask("lease", { secret_name: "a", client_id: "x" }))?.result === undefined) counts.accepted += 1
    }
  } finally {
    client.close()
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [
    { what: "decisions", tried: counts.asked, failed: counts.wrong, stats: `${counts.leased} leased` },
    {
      what: "leases under hostile globs",
      tried: took.length,
      failed: counts.slow,
      stats: `a name of 16,000 letters: 999 rules of stars ${most(took.slice(0, 10))} ms, 50 of sets ${most(took.slice(10))} ms`
    },
    { what: "policies of too many rules", tried: 2, failed: 2 - counts.refused + counts.accepted }
  ]
}

const most = (millis: ReadonlyArray<number>) => Math.round(quantile(millis, 1))

export const scenario: Scenario = {
  promise: "the first rule that matches decides, whatever the globs, and a wrong policy changes nothing",
  rounds: 40,
  run: policyRounds
}
