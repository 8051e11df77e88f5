/**
 * `lock` at random moments under load, some of it on the same connection. After its reply no
 * value is sent and nothing is changed, also over `kill -9`, until the unlock.
 */
import * as fs from "node:fs"
import { Client, Connection } from "../../harness/connection.ts"
import { launch, type Target, untilReady } from "../../harness/daemon.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

const secret = "made up for the lock"
const lockId = -1

const line = (method: string, params: object, id: number): string =>
  `${JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id })}\n`

/** A request that gives a value or changes the store, with an answer only if it is not locked. */
const request = (random: Random, id: number): string => {
  const name = `s${random.below(3)}`
  const [method, params] = random.pick([
    ["lease", { secret_name: "db", client_id: `c${random.below(9)}` }],
    ["lease", { secret_name: "db", client_id: `c${random.below(9)}` }],
    ["update", { name: "db", value: secret }],
    ["add", { name, value: secret }],
    ["delete", { name }],
    ["rotate", { secret_name: "rotated" }]
  ] as const)
  return line(method, params, id)
}

/** Sends requests with a lock among them at once. Returns the replies after the one to the lock that are not refusals. */
const lockedAmong = async (socket: string, random: Random, requests: number): Promise<ReadonlyArray<string>> => {
  const connection = new Connection(socket)
  const lines = Array.from({ length: requests }, (_, id) => request(random, id))
  const at = random.below(requests)
  lines.splice(at, 0, line("lock", {}, lockId))
  connection.send(lines.join(""))
  let isLocked = false
  const wrong: Array<string> = []
  for (const _ of lines) {
    const reply = await connection.line()
    if (reply === undefined) return [...wrong, "the connection ended"]
    const { id, result } = JSON.parse(reply)
    // Replies are in any order; a change may be acknowledged late, if its entry is before that of the lock.
    if (isLocked && reply.includes(secret)) wrong.push(`a value was sent after the lock: ${reply.slice(0, 60)}`)
    if (id === lockId) isLocked = result?.locked === true
  }
  connection.socket.destroy()
  return isLocked ? wrong : [...wrong, "it was not locked"]
}

/** Sends what was not sent before the reply to the lock; each of it must be refused. */
const accepted = async (socket: string, random: Random): Promise<ReadonlyArray<string>> => {
  const connection = new Connection(socket)
  const lines = Array.from({ length: 10 }, (_, id) => request(random, id))
  connection.send(lines.join(""))
  const wrong: Array<string> = []
  for (const _ of lines) {
    const { error, id } = JSON.parse((await connection.line()) ?? "{}")
    if (error?.data?.tag !== "StoreLocked") wrong.push(`not refused as locked: ${lines[id]}: ${error?.message}`)
  }
  connection.socket.destroy()
  return wrong
}

export const lockUnderLoad = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const ordered = new Tally("locks under load: no value after the reply", log)
  const refused = new Tally("… what is sent afterwards is refused, also after kill -9", log)
  const opened = new Tally("… after the unlock, all secrets are there", log)
  const begin = (): Promise<Target> => untilReady(launch({ home }))
  let target = await begin()
  try {
    const owner = new Client(target.socket)
    await owner.ask("add", { name: "db", value: secret })
    await owner.ask("add", { name: "rotated", value: secret, rotate_via: "true" })
    owner.close()
    for (let round = 0; round < rounds; round += 1) {
      const others = Array.from({ length: 1 + random.below(3) }, () =>
        lockedAmong(target.socket, random, 5 + random.below(40))
      )
      const wrong = (await Promise.all(others)).flat()
      ordered.check(wrong.length === 0, () => `round ${round}: ${wrong.join(", ")}`)
      if (random.next() < 0.3) {
        await target.end(random.pick(["SIGKILL", "SIGTERM"]))
        target = await begin()
      }
      const taken = await accepted(target.socket, random)
      refused.check(taken.length === 0, () => `round ${round}: ${taken.join(", ")}`)
      const client = new Client(target.socket)
      const unlocked = await client.ask("unlock", {})
      const answer = await client.ask("lease", { secret_name: "db", client_id: "owner" })
      client.close()
      opened.check(answer?.result?.value === secret, () => `round ${round}: ${JSON.stringify([unlocked, answer])}`)
    }
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [ordered, refused, opened].map((tally) => tally.row())
}
