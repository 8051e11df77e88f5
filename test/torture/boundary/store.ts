/**
 * Random replacements of identity.age and secrets.age under a running daemon, with changes and
 * `kill -9` in between. No acknowledged secret is lost, and no file of another is overwritten.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../../harness/connection.ts"
import { launch, type Target, untilReady } from "../../harness/daemon.ts"
import { flipBit, type Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

interface Place {
  /** The file that is replaced. */
  readonly file: string
  /** A place outside of the state directory. */
  readonly elsewhere: string
  /** Contents that the file had earlier. */
  readonly older: ReadonlyArray<Buffer>
  /** The same file of another daemon. */
  readonly foreign: Buffer
  readonly random: Random
}

const swap = (file: string, contents: Uint8Array) => {
  fs.writeFileSync(`${file}.theirs`, contents, { mode: 0o600 })
  fs.renameSync(`${file}.theirs`, file)
}

/** What others do to a file; some of it changes nothing that matters. */
const faults: Readonly<Record<string, (place: Place) => void>> = {
  missing: ({ file }) => fs.rmSync(file),
  "of another daemon": ({ file, foreign }) => swap(file, foreign),
  "written over": ({ file, foreign }) => fs.writeFileSync(file, foreign),
  older: ({ file, older, random }) => swap(file, random.pick(older)),
  truncated: ({ file, random }) => fs.truncateSync(file, random.below(fs.statSync(file).size)),
  longer: ({ file }) => fs.appendFileSync(file, "AGE-SECRET-KEY-1"),
  "a byte changed": ({ file, random }) => {
    const bytes = fs.readFileSync(file)
    flipBit(bytes, random)
    fs.writeFileSync(file, bytes)
  },
  "a directory": ({ file }) => {
    fs.rmSync(file)
    fs.mkdirSync(file)
  },
  "a link to a copy": ({ elsewhere, file }) => {
    fs.renameSync(file, elsewhere)
    fs.symlinkSync(elsewhere, file)
  },
  "a link to nothing": ({ elsewhere, file }) => {
    fs.rmSync(file)
    fs.symlinkSync(elsewhere, file)
  },
  "without access": ({ file }) => fs.chmodSync(file, 0),
  "a hard link of another": ({ elsewhere, file, foreign }) => {
    fs.writeFileSync(elsewhere, foreign)
    fs.rmSync(file)
    fs.linkSync(elsewhere, file)
  }
}

/** What is there now: the kind, the contents and where a link leads. */
const shown = (file: string): string => {
  const status = fs.lstatSync(file, { throwIfNoEntry: false })
  if (status === undefined) return "nothing"
  if (status.isSymbolicLink()) return `a link to ${fs.readlinkSync(file)}: ${shown(fs.readlinkSync(file))}`
  return status.isFile() ? fs.readFileSync(file, "hex") : "a directory"
}

/** Random changes; those that were acknowledged are made to the model. Returns how many were. */
const change = async (client: Client, values: Map<string, string>, random: Random): Promise<number> => {
  let acknowledged = 0
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const name = `s${random.below(6)}`
    const value = `made up ${random.below(1e9)}`
    const isDeleted = values.has(name) && random.next() < 0.3
    const method = isDeleted ? "delete" : values.has(name) ? "update" : "add"
    const answer = await client.ask(method, { name, value })
    if (answer?.result === undefined) continue
    acknowledged += 1
    if (isDeleted) values.delete(name)
    else values.set(name, value)
  }
  return acknowledged
}

/** Differences between the model and what is leased. */
const differences = async (client: Client, values: ReadonlyMap<string, string>): Promise<ReadonlyArray<string>> => {
  const listed = (await client.ask("list", {}))?.result?.secrets.length
  const wrong = listed === values.size ? [] : [`${listed} secrets instead of ${values.size}`]
  for (const [name, value] of values) {
    const answer = await client.ask("lease", { secret_name: name, client_id: "c" })
    if (answer?.result?.value !== value) wrong.push(`${name}: ${answer?.error?.message ?? "another value"}`)
  }
  return wrong
}

/** The files of the store of another daemon. */
const foreignStore = async (): Promise<ReadonlyMap<string, Buffer>> => {
  const home = temporaryHome()
  const target = await untilReady(launch({ home }))
  await target.end("SIGTERM")
  const read = names.map((name) => [name, fs.readFileSync(path.join(target.directory, name))] as const)
  fs.rmSync(home, { recursive: true, force: true })
  return new Map(read)
}

const names = ["identity.age", "secrets.age"] as const

/** Away with what others put there, as the refusal asks for, and then one change that succeeds. */
const moveAway = async (file: string, client: Client, values: Map<string, string>): Promise<string | undefined> => {
  fs.chmodSync(path.dirname(file), 0o700)
  fs.rmSync(file, { recursive: true, force: true })
  const value = `made up after ${path.basename(file)}`
  const answer = await client.ask(values.has("s0") ? "update" : "add", { name: "s0", value })
  if (answer?.result === undefined) return answer?.error?.message ?? "no answer"
  values.set("s0", value)
  return undefined
}

export const replacedStore = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const foreign = await foreignStore()
  const home = temporaryHome()
  const values = new Map<string, string>()
  const older = new Map<string, Array<Buffer>>(names.map((name) => [name, []]))
  const kept = new Tally("files of the store replaced under the daemon: no acknowledged secret lost", log)
  const respected = new Tally("… no file of another overwritten", log)
  const resumed = new Tally("… changes succeed again after it is moved away", log)
  const begin = (): Promise<Target> => untilReady(launch({ home }))
  let target = await begin()
  let client = new Client(target.socket)
  try {
    await change(client, values, random)
    for (let round = 0; round < rounds; round += 1) {
      const name = random.pick(names)
      const file = path.join(target.directory, name)
      const fault = random.pick(Object.keys(faults))
      const earlier = older.get(name) ?? []
      if (fs.existsSync(file)) earlier.push(fs.readFileSync(file))
      const about = (what: string) => () => `round ${round}, ${name} is ${fault}: ${what}`
      const [elsewhere, contents = Buffer.alloc(0)] = [path.join(home, `elsewhere-${round}`), foreign.get(name)]
      const before = shown(file)
      faults[fault]?.({ file, elsewhere, older: earlier.slice(-5), foreign: contents, random })
      const theirs = shown(file)
      const acknowledged = await change(client, values, random)
      const after = shown(file)
      // What is missing, and what it held before, the daemon may write.
      const isOurs = theirs === "nothing" || theirs === before
      respected.check(isOurs || after === theirs, about(`it was overwritten after ${acknowledged} changes`))
      kept.check((await differences(client, values)).length === 0, about("values in memory differ"))
      if (!isOurs || acknowledged === 0) {
        const fault = await moveAway(file, client, values)
        resumed.check(fault === undefined, about(fault ?? ""))
        // Nothing else can be tried on a store that takes no change.
        if (fault !== undefined) break
      }
      if (random.next() < 0.3) {
        await target.end(random.pick(["SIGKILL", "SIGTERM"]))
        client.close()
        target = await begin()
        client = new Client(target.socket)
        const lost = await differences(client, values)
        kept.check(lost.length === 0, about(`after a restart ${lost.join(", ")}`))
      }
    }
  } finally {
    client.close()
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [kept.row(), respected.row(), resumed.row()]
}
