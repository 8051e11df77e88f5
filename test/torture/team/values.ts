/**
 * The owner of the database edits its rows: swaps the values of two secrets, brings an old one back, plants one of a
 * stranger, damages one, gives one a name that it does not have, and adds a reader that no member signed. No machine
 * may hand out a value that is not the last one of that secret, and nothing may be sealed for the stranger.
 */
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import { encodeStore } from "../../../src/daemon/secrets/storeDocument.ts"
import { signingKey, signText } from "../../../src/daemon/team/signatures.ts"
import { auditOf } from "../../harness/daemon.ts"
import { pause } from "../../harness/program.ts"
import type { Random } from "../../support/random.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { ask, type Machine, type Team, withTeam } from "./Machine.ts"
import { storedSecret } from "../../support/storedSecret.ts"

const names = ["a", "b", "c"]

/** Does something to the rows as the superuser, so that every machine looks at those of these names again. */
const edit = (team: Team, name: string, assignment: string): void =>
  void ask(
    team,
    `update team.state set revision = revision + 1;
     update team.secrets set changed = (select revision from team.state), ${assignment} where name = '${name}'`
  )

const sealedOf = (team: Team, name: string): Buffer =>
  Buffer.from(ask(team, `select encode(sealed, 'hex') from team.secrets where name = '${name}'`)[0] ?? "", "hex")

const literal = (bytes: Uint8Array): string => `decode('${Buffer.from(bytes).toString("hex")}', 'hex')`

/** Encrypts to every machine of the team, whose recipients anybody may read. */
const plantedFor = async (team: Team, text: string): Promise<Uint8Array> => {
  const encrypter = new Encrypter()
  const statements = ask(team, "select statement from team.members").map((line): any => JSON.parse(line))
  for (const { recipient } of statements) if (recipient !== undefined) encrypter.addRecipient(recipient)
  return encrypter.encrypt(text)
}

const planted = "made-up-and-planted"

const strange = (name: string) => storedSecret(name, planted)

interface State {
  readonly team: Team
  readonly random: Random
  /** The last value of each secret. */
  readonly values: Map<string, string>
  /** What the database had of each secret before its last change. */
  readonly old: Map<string, Buffer>
}

/** What is done to the row of a secret; each is to be refused by every machine. */
const edits: Readonly<Record<string, (state: State, name: string) => Promise<string> | string>> = {
  "the value of another": ({ random, team }, name) => {
    const other = random.pick(names.filter((one) => one !== name))
    return `sealed = ${literal(sealedOf(team, other))}, version = version + 1`
  },
  "the value of another, with its version": ({ random, team }, name) => {
    const other = random.pick(names.filter((one) => one !== name))
    return `sealed = ${literal(sealedOf(team, other))}, version = greatest(version + 1,
      (select version from team.secrets where name = '${other}'))`
  },
  "an old value as a new version": ({ old }, name) =>
    `sealed = ${literal(old.get(name) ?? Buffer.alloc(1))}, version = version + 1`,
  "an old value with its version": ({ old }, name) =>
    `sealed = ${literal(old.get(name) ?? Buffer.alloc(1))}, version = version - 1`,
  "a value that nobody signed": async ({ team }) =>
    `sealed = ${literal(await plantedFor(team, planted))}, version = version + 1`,
  "a value that a stranger signed": async ({ team }, name) => {
    const version = 1 + Number(ask(team, `select version from team.secrets where name = '${name}'`)[0])
    const list = Number(ask(team, "select count(*) from team.members")[0])
    const secret = encodeStore({ secrets: new Map([[name, strange(name)]]), foreign: {} })
    const body = JSON.stringify({ v: 1, version, by: "m1", list, for: "", secret })
    const sig = signText(signingKey(Buffer.alloc(32, 7)), body)
    return `sealed = ${literal(await plantedFor(team, JSON.stringify({ body, sig })))}, version = ${version}`
  },
  "a value that is encrypted to a stranger alone": async () => {
    const encrypter = new Encrypter()
    encrypter.addRecipient(await identityToRecipient(await generateX25519Identity()))
    return `sealed = ${literal(await encrypter.encrypt(planted))}, version = version + 1`
  },
  "a value with one bit changed": ({ random, team }, name) => {
    const bytes = sealedOf(team, name)
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
    return `sealed = ${literal(bytes)}, version = version + 1`
  },
  "half of a value": ({ team }, name) =>
    `sealed = ${literal(sealedOf(team, name).subarray(0, 200))}, version = version + 1`
}

const lease = async (machine: Machine, name: string): Promise<string | undefined> =>
  (await machine.ask("lease", { secret_name: name, client_id: "reader" }))?.result?.value

/** Waits until every machine has the last value. */
const untilCurrent = async ({ team, values }: State, name: string): Promise<void> => {
  for (const machine of team.machines) {
    for (let tries = 0; (await lease(machine, name)) !== values.get(name); tries += 1) {
      if (tries === 200) throw new Error(`${machine.name} does not get the last value of ${name}`)
      await pause(50)
    }
  }
}

/** Writes a new value, as a person does who has seen a refusal. */
const write = async (state: State, name: string, value: string): Promise<void> => {
  const [first] = state.team.machines as [Machine]
  for (const method of ["update", "add"]) {
    if ((await first.ask(method, { name, value }))?.result === undefined) continue
    state.values.set(name, value)
    return
  }
  throw new Error(`${name} is not written`)
}

/** A reader whom no member signed: no machine seals for it, and every machine stops. */
const plantReader = async (state: State, log: (line: string) => void): Promise<Row> => {
  const { team } = state
  const identity = await generateX25519Identity()
  const [last = ""] = ask(team, "select statement from team.members order by seq desc limit 1")
  const { seq } = JSON.parse(last)
  const recipient = await identityToRecipient(identity)
  const keys = { machine: "stranger", recipient, key: `${"A".repeat(43)}=` }
  const prev = ask(
    team,
    `select encode(sha256(convert_to(statement, 'UTF8')), 'hex') from team.members where seq = ${seq}`
  )[0]
  const statement = { seq: seq + 1, prev, do: "add", ...keys, admin: true, groups: [], by: "m1" }
  const sig = Buffer.alloc(64).toString("base64")
  ask(
    team,
    `insert into team.members values (${seq + 1}, $a$${JSON.stringify(statement)}$a$, '${sig}');
     update team.state set revision = revision + 1`
  )
  let failed = 0
  for (const machine of team.machines) {
    const answer = await machine.ask("add", { name: `after-${machine.name}`, value: planted })
    if (answer?.error === undefined || (await lease(machine, "a")) !== undefined) failed += 1
  }
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  for (const name of ask(team, "select name from team.secrets where sealed is not null")) {
    const isOpen = await decrypter.decrypt(sealedOf(team, name)).then(
      () => true,
      () => false
    )
    if (!isOpen) continue
    failed += 1
    log(`a stranger can read ${name}`)
  }
  return { what: "machines that go on with a reader whom no member signed", tried: team.machines.length, failed }
}

export const values = ({ log, random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> =>
  withTeam({ section: () => ({ beat: "100ms" }) }, async (team) => {
    const state: State = { team, random, values: new Map(), old: new Map() }
    let [served, untold, tried] = [0, 0, 0]
    for (const name of names) await write(state, name, `made-up ${name}`)
    const kinds = Object.keys(edits)
    for (let round = 0; round < rounds; round += 1) {
      const [name, kind] = [random.pick(names), kinds[round % kinds.length] ?? ""]
      await write(state, name, `made-up ${name} ${round}, old`)
      state.old.set(name, sealedOf(team, name))
      await write(state, name, `made-up ${name} ${round}`)
      await untilCurrent(state, name)
      const refusals = () => team.machines.map(({ directory }) => countRefusals(directory, name))
      const before = refusals()
      edit(team, name, (await edits[kind]?.(state, name)) ?? "")
      for (const [at, machine] of team.machines.entries()) {
        tried += 1
        // A daemon looks before it issues, so it has an answer that is one or the other.
        for (let tries = 0; tries < 100 && (await lease(machine, name)) === state.values.get(name); tries += 1) {
          await pause(20)
        }
        const value = await lease(machine, name)
        if (value !== undefined) {
          served += 1
          log(
            `${machine.name} hands out ${value === state.values.get(name) ? "the value before" : value} after ${kind}`
          )
        } else if ((refusals()[at] ?? 0) <= (before[at] ?? 0)) {
          untold += 1
          log(`${machine.name} records no value_refused after ${kind}`)
        }
      }
      // The highest version that a machine has seen is not taken back.
      edit(team, name, "version = version + 100")
    }
    return [
      { what: "values that were handed out after their rows were edited", tried, failed: served },
      { what: "edited rows without a value_refused in the log of a machine", tried, failed: untold },
      await plantReader(state, log)
    ]
  })

const countRefusals = (directory: string, name: string): number =>
  auditOf(directory).filter((entry) => entry.action === "value_refused" && entry.secret_name === name).length
