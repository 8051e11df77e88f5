/**
 * Random requests through the sockets of each role, as another user where the tests run as
 * root. Nothing runs, no value and no lease of others is reached, and the key is in no reply.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { methods } from "../../../src/rpc/protocol/methods.ts"
import { Client, Connection } from "../../harness/connection.ts"
import { auditOf, launch, untilReady } from "../../harness/daemon.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

/** The sockets of other roles than the owner's. */
const others = ["operator", "lease", "use", "approve"] as const
const user = 31_302
const group = 31_300
const isRoot = process.getuid?.() === 0

/** Requests that are sent before their replies are read. */
const batch = 200

/** Opens a connection as another user of the sockets' group. */
const connectAs = (socket: string): Connection => {
  if (!isRoot) return new Connection(socket)
  process.setegid?.(group)
  process.seteuid?.(user)
  try {
    return new Connection(socket)
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

const stored = ["prod_key", "ci_token", "mine"]
const names = [...stored, ...stored, ...stored, "ci_new", "CI_TOKEN", "", "no_such", "../ci_token", "ci_token\0"]
const clients = ["owner-app", "ci/worker", "agent/worker", "ci/", "", "\ud800", "ci/../owner-app", "x".repeat(9_000)]

const harmful = ["lease", "add", "update", "rotate", "revoke", "killswitch"].map((name) => `secrets.${name}`)

/** Parameters with values that a request may expect, and such as it does not. */
const paramsFrom = (random: Random, sentinel: string, leaseIds: ReadonlyArray<string>): ReadonlyArray<Member> => {
  const command = random.pick([
    `touch ${sentinel}`,
    `cat ${path.dirname(sentinel)}/.agent-secrets/identity.age`,
    `sh -c 'id >${sentinel}'`
  ])
  const odd = [true, "true", 1, null, "", [command], { rotate_via: command }, -1e308, command]
  const usual: ReadonlyArray<readonly [name: string, value: unknown]> = [
    ["name", random.pick(names)],
    ["secret_name", random.pick(names)],
    ["value", random.pick(["made up by another", command])],
    ["client_id", random.pick(clients)],
    ["lease_id", random.pick([...leaseIds, "none"])],
    ["ttl", random.pick(["1h", "99999h", "-1s", "0", ""])],
    ["rotate_via", command],
    ["rotate_stdout", true],
    ["rotate_via_set", true],
    ["rotate_all", random.next() < 0.5],
    ["wipe_store", true],
    ["tail", 1000],
    ["top", 9],
    ["texts", Buffer.from(ownerValue("prod_key")).toString("base64")],
    ["decision", "allow"],
    ["path", "/etc"],
    ["hash", "0".repeat(64)],
    ["__proto__", { rotate_via: command, wipe_store: true, client_id: "owner-app" }],
    ["constructor", { prototype: { rotate_via: command } }],
    ["params", { rotate_via: command }],
    ["role", "owner"],
    ["socket", "owner.sock"]
  ]
  const likely = random.pick([random.next(), 0.95])
  return usual
    .filter(() => random.next() < likely)
    .map(([name, value]) => [oddCase(name, random), random.next() < 0.05 ? random.pick(odd) : value] as const)
    .toSorted(() => random.next() - 0.5)
}

type Member = readonly [name: string, value: unknown]

const oddCase = (name: string, random: Random): string => {
  if (random.next() < 0.7) return name
  const letters = Array.from(name, (letter) => (random.next() < 0.3 ? letter.toUpperCase() : letter)).join("")
  // The Kelvin sign and the long s become letters of ASCII when the case changes.
  return random.next() < 0.8 ? letters : letters.replace(/k/i, "\u212a").replace(/s/, "\u017f")
}

/** Writes members as they are, also the same one twice. */
const jsonOf = (members: ReadonlyArray<readonly [name: string, json: string]>): string =>
  `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`

const requestFrom = (random: Random, sentinel: string, leaseIds: ReadonlyArray<string>): string => {
  const object = () =>
    jsonOf(paramsFrom(random, sentinel, leaseIds).map(([name, value]) => [name, JSON.stringify(value)] as const))
  const odd = ["secrets.wipe", "__proto__", "constructor", "secrets.ADD", ""]
  const method = random.pick(random.next() < 0.4 ? harmful : [...Object.keys(methods), ...odd])
  const members: Array<readonly [string, string]> = [
    ["jsonrpc", '"2.0"'],
    [oddCase("method", random), JSON.stringify(method)],
    [oddCase("params", random), random.next() < 0.05 ? `[${object()}]` : object()]
  ]
  if (random.next() < 0.9) members.push(["id", String(random.below(99))])
  if (random.next() < 0.1) members.push(["Params", object()], ["METHOD", '"secrets.add"'])
  if (random.next() < 0.1) members.push(["__proto__", '{"role":"owner","method":"secrets.killswitch"}'])
  const request = jsonOf(members)
  const shape = random.next()
  return shape < 0.03 ? `[${request},${request}]` : shape < 0.05 ? `${request} ${request}` : request
}

const ownerValue = (name: string) => `made up by the owner for ${name}`

/** What the role must not be sent: the values outside of its globs. */
const forbiddenIn = (role: (typeof others)[number]): ReadonlyArray<string> => {
  const all = stored.map(ownerValue)
  if (role === "operator") return []
  return role === "lease" ? all.filter((value) => !value.includes("ci_")) : all
}

export const randomRequests = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const sentinel = path.join(home, "ran")
  const sockets = new Map(others.map((role) => [role, path.join(home, `${role}.sock`)]))
  const settings = others.map((role) => ({
    path: sockets.get(role),
    role,
    ...(isRoot ? { mode: "0660", group: String(group) } : {}),
    ...(role === "operator" || role === "approve" ? {} : { secrets: ["ci_*"] }),
    ...(role === "operator" || role === "approve" ? {} : { client_prefix: role === "lease" ? "ci/" : "agent/" })
  }))
  const config = path.join(home, "config.json")
  fs.writeFileSync(config, JSON.stringify({ sockets: settings }))
  if (isRoot) fs.chmodSync(home, 0o711)
  const target = launch({ home }, ["--config", config])
  const kept = new Tally("requests of each role: no value, no key, one line of JSON", log)
  const intact = new Tally("… after them: nothing ran, no rotation was set, no lease of others ended", log)
  try {
    await untilReady(target)
    const owner = new Client(target.socket)
    let isFresh = false
    for (let round = 0; round < rounds; round += 1) {
      const role = others[round % others.length] ?? "operator"
      await owner.ask("unlock", {})
      for (const name of isFresh ? [] : stored) {
        await owner.ask("add", { name, value: ownerValue(name), rotate_via: name === "mine" ? "true" : "" })
      }
      const foreign = await Promise.all(
        ["owner-app", "ci", "other/worker"].map((client_id) =>
          owner.ask("lease", { secret_name: "ci_token", client_id, ttl: "24h" })
        )
      )
      const ids = foreign.map((answer) => String(answer?.result.lease_id))
      const connection = connectAs(sockets.get(role) ?? "")
      const sent = Array.from({ length: batch }, () => requestFrom(random, sentinel, ids))
      connection.send(sent.map((line) => `${line}\n`).join(""))
      const forbidden = ["AGE-SECRET-KEY", ...forbiddenIn(role)]
      for (const line of sent) {
        const reply = await connection.line()
        const isKept = reply !== undefined && isReply(reply) && !forbidden.some((text) => reply.includes(text))
        kept.check(isKept, () => `${role}: ${line.slice(0, 300)} got ${reply?.slice(0, 300)}`)
      }
      connection.socket.destroy()
      await owner.ask("unlock", {})
      const { secrets } = (await owner.ask("list", {}))?.result ?? { secrets: [{ name: "none", rotate_via: "none" }] }
      const rotations = secrets.filter(({ name, rotate_via = "" }: Listed) => rotate_via !== "" && name !== "mine")
      const { leases } = (await owner.ask("leases", {}))?.result ?? { leases: [] }
      const left = new Set(leases.map(({ lease_id }: { readonly lease_id: string }) => lease_id))
      const isLeft = role === "operator" || ids.every((id) => left.has(id))
      const isWhole = role === "operator" || secrets.length === 3
      const faults = [
        fs.existsSync(sentinel) ? "a command ran" : "",
        rotations.length > 0 ? JSON.stringify(rotations) : "",
        isLeft ? "" : "a lease of another ended",
        isWhole ? "" : "the secrets were changed",
        auditOf(target.directory).some(({ action }) => action === "store_wipe") ? "the store was wiped" : "",
        target.child.exitCode === null ? "" : "the daemon has ended"
      ].filter((fault) => fault !== "")
      intact.check(faults.length === 0, () => `round ${round}, ${role}: ${faults.join(", ")}`)
      fs.rmSync(sentinel, { force: true })
      isFresh = role !== "operator" && isWhole
      for (const { name } of isFresh ? [] : secrets) await owner.ask("delete", { name })
    }
    owner.close()
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [kept.row(isRoot ? "as another user" : ""), intact.row()]
}

interface Listed {
  readonly name: string
  readonly rotate_via?: string
}

const isReply = (line: string): boolean => {
  try {
    return JSON.parse(line).jsonrpc === "2.0"
  } catch {
    return false
  }
}
