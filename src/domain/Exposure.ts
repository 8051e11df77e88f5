/**
 * Exposure: who was given which value. A fold of the audit log into one row for each value,
 * client, way and program. It holds names, never values.
 *
 * Only leases that were issued count. A value lasts from its change to the next one; a change
 * that keeps it, or that was not written, begins no other. Beyond the limit rows are merged:
 * without programs, then without old values, then without the names of the clients that came last.
 */
import * as Option from "effect/Option"
import type { AuditEntry } from "./AuditEntry.ts"
import { isChangeFailed, isFormerValue, keepsValue } from "./storeFacts.ts"
import { clientGroup } from "./clientGroup.ts"
import { proxyWay } from "./ProxyRoute.ts"
import { programActions, StartedPrograms } from "./StartedPrograms.ts"
import { parseTimestamp, type Timestamp } from "./Timestamp.ts"

/** A place in the log: an entry, and its time. */
export interface LogPlace {
  readonly seq: number
  readonly at: Timestamp
  /** The machine of a team whose log it is; undefined for this one. */
  readonly machine?: string | undefined
}

/** Returns whether a place comes before another one: in one log by number, in two by the time of the team's server. */
export const isEarlier = (one: LogPlace, other: LogPlace): boolean =>
  one.machine === other.machine ? one.seq < other.seq : one.at.millis < other.at.millis

/** The entry that set a value. */
export interface ValueChange extends LogPlace {
  /** Its action; `store_restore` if the value came from a backup. */
  readonly by: string
  /** Whether it is known that the secret had this value before. */
  readonly former?: boolean | undefined
}

/** What one client was given of a value, in one way and for one program. */
export interface Handout {
  /** Without the process id; empty for the clients that the limit left without a name. */
  readonly client: string
  /** Whether ids with different process ids count as this client. */
  readonly grouped: boolean
  readonly via: string
  /** Empty if there is none. */
  readonly program: string
  readonly first: Timestamp
  readonly last: Timestamp
  readonly times: number
  /** The number of the last of these entries: the order also where the clock was set. */
  readonly seq: number
  /** The id of the last of these leases. */
  readonly leaseId: string
  /** The machine of a team that gave it; undefined for this one. */
  readonly machine?: string | undefined
}

/** Returns the place of the last entry of a row. */
export const lastPlace = ({ last, machine, seq }: Handout): LogPlace => ({ seq, at: last, machine })

/** A value of a secret, and who was given it. */
export interface ExposedValue {
  /** Undefined if it was set before the first known entry. */
  readonly set: ValueChange | undefined
  /** The last rotation whose command left the stored value as it was. */
  readonly rotated: LogPlace | undefined
  readonly handouts: ReadonlyArray<Handout>
  /** How many rows have lost their client's name. */
  readonly unnamed: number
}

type Row = { -readonly [Member in keyof Handout]: Handout[Member] }

interface Value {
  set: ValueChange | undefined
  rotated: LogPlace | undefined
  unnamed: number
  readonly rows: Map<string, Row>
}

/** What the fold reads of an entry. */
export type ExposureFact = Pick<
  AuditEntry,
  | "action"
  | "success"
  | "secret_name"
  | "client_id"
  | "lease_id"
  | "created_at"
  | "via"
  | "program"
  | "details"
  | "run_id"
>

/** The actions that give a secret a value. */
export const valueChanges: ReadonlySet<string> = new Set(["secret_add", "secret_update", "secret_rotate"])

/** The actions of entries that count. */
export const exposureActions: ReadonlyArray<string> = [
  ...new Set([...valueChanges, ...programActions, "lease_adopt", "store_backup", "store_restore"])
]

export const maxHandouts = 50_000

/** What the predecessor's clients do: the value is printed. */
const printed = "lease"

/** Returns whether nothing tells where a value went from there: it was printed or written to a file. */
export const isOpenWay = (via: string): boolean => via !== "exec" && via !== "mcp" && !via.startsWith("helper:")

/**
 * Returns those of the values of a secret that may be the same as the current one: a value of before, or one that was added
 * again or came from a backup, may be any of those before.
 */
export const maybeCurrent = (values: ReadonlyArray<ExposedValue>): ReadonlyArray<ExposedValue> => {
  const set = values.at(-1)?.set
  const isMaybe = set?.by === "secret_add" || set?.by === "store_restore" || set?.former === true
  return isMaybe ? values : values.slice(-1)
}

const newValue = (set: ValueChange | undefined): Value => ({ set, rotated: undefined, unnamed: 0, rows: new Map() })

/** Returns how many rows one counts for: a long name takes the memory of several. */
const weightOf = ({ client, program }: Row): number => 1 + Math.floor((client.length + program.length) / 512)

export class Exposure {
  /** The values of each secret, the current one last. */
  private readonly secrets = new Map<string, Array<Value>>()
  private readonly limit: number
  private readonly groupOf: (clientId: string) => string
  private weight = 0
  /** The values that the last entries set. */
  private batch: Array<Value> = []
  /** How many secrets the limit left out as a whole. */
  forgotten = 0
  /** Since which entry nothing is missing; undefined until an entry is known. */
  from: LogPlace | undefined
  /** The last backup, which holds every value of its time. */
  backup: LogPlace | undefined
  /** The programs that were given values and may still run. */
  programs = new StartedPrograms()

  constructor(limit = maxHandouts, groupOf = clientGroup) {
    this.limit = limit
    this.groupOf = groupOf
  }

  /** Adds the next entry. `isTrusted` is false for one that the daemon did not write: it hands out, and changes nothing. */
  add(fact: ExposureFact, at: Timestamp, seq: number, isTrusted = true): void {
    const { action, secret_name: name, success } = fact
    // Most entries are of leases that end.
    if (action === "lease_replace" && this.batch.length === 0) return
    const isChange = valueChanges.has(action)
    if (isTrusted || action === "lease_acquire") this.programs.add(fact, seq)
    if (name === undefined) {
      if (action === "store_backup" && success) this.backup = { seq, at }
      // The entries before it are those of the secrets that were taken from the backup.
      if (action === "store_restore" && success) {
        for (const value of this.batch) value.set &&= { ...value.set, by: action }
      }
    }
    if (!isChange && this.batch.length > 0) this.batch = []
    if (name === undefined) return
    switch (action) {
      case "lease_acquire":
        // What the proxy uses stays with the daemon.
        if (success && fact.via !== proxyWay) this.handOut(name, fact, { seq, at })
        return
      case "lease_adopt":
        if (success) this.adopt(name, fact, { seq, at })
        return
      case "secret_add":
      case "secret_update":
      case "secret_rotate":
        if (!isTrusted) return
        if (success) this.change(name, fact, { seq, at })
        else if (isChangeFailed(fact)) this.undoChange(name, action)
    }
  }

  /** Adds what is newer than all of this, except for `programs`: the end of one is in the entries alone. */
  absorb(newer: Exposure): void {
    for (const [name, [first, ...rest]] of newer.secrets) {
      if (first === undefined) continue
      if (first.set === undefined) this.merge(this.current(name), first)
      else this.push(name, first)
      for (const value of rest) this.push(name, value)
    }
    this.backup = newer.backup ?? this.backup
    this.from ??= newer.from
    this.forgotten += newer.forgotten
    if (this.weigh() > this.limit) this.shrink()
  }

  /** Adds what another exposure says of the current values, without a count: it may be of the same entries. It hides nothing. */
  addDoubtful(other: Exposure): void {
    for (const [name, values] of other.secrets) {
      const { rows } = this.current(name)
      for (const [key, row] of values.at(-1)?.rows ?? []) {
        const known = rows.get(key)
        rows.set(key, known === undefined || known.times < row.times ? row : known)
      }
    }
    for (const started of other.programs.all()) {
      if (started.seq < (this.from?.seq ?? 0)) this.programs.restore(started)
    }
    if (this.weigh() > this.limit) this.shrink()
  }

  /** Returns the values of a secret, the current one last; none of a secret that no known entry names. */
  valuesOf(name: string): ReadonlyArray<ExposedValue> {
    return (this.secrets.get(name) ?? []).map((value) => ({ ...value, handouts: [...value.rows.values()] }))
  }

  /** The number of rows and values. */
  get size(): number {
    return this.secrets.values().reduce((sum, values) => values.reduce((all, { rows }) => all + rows.size + 1, sum), 0)
  }

  names(): ReadonlyArray<string> {
    return [...this.secrets.keys()]
  }

  /** Returns how many clients were given the current value, for each secret that has any. */
  clientCounts(): ReadonlyArray<readonly [name: string, clients: number]> {
    return [...this.secrets].flatMap(([name, values]) => {
      const value = values.at(-1)
      if (value === undefined || value.rows.size === 0) return []
      const clients = new Set(Array.from(value.rows.values(), ({ client }) => client))
      return [[name, clients.size - (clients.has("") ? 1 : 0) + value.unnamed] as const]
    })
  }

  /** Returns a copy that later entries do not change. */
  copy(): Exposure {
    const copied = new Exposure(this.limit, this.groupOf)
    for (const [name, values] of this.secrets) {
      copied.secrets.set(
        name,
        values.map((value) => ({
          ...value,
          rows: new Map(value.rows.entries().map(([key, row]) => [key, { ...row }]))
        }))
      )
    }
    copied.from = this.from
    copied.backup = this.backup
    copied.forgotten = this.forgotten
    copied.programs = this.programs.copy()
    copied.weight = this.weight
    return copied
  }

  /** Adds a value as it was saved; those of one secret come in their order. */
  restore(name: string, { handouts, rotated, set, unnamed }: ExposedValue): void {
    const value = { set, rotated, unnamed, rows: new Map(handouts.map((row) => [keyOf(row), { ...row }])) }
    this.push(name, value)
    this.weight += [...value.rows.values()].reduce((sum, row) => sum + weightOf(row), 0)
  }

  private handOut(
    name: string,
    { client_id = "", lease_id = "", program = "", via = printed }: ExposureFact,
    { at, seq }: LogPlace
  ): void {
    const { rows } = this.current(name)
    const client = this.groupOf(client_id)
    const key = keyOf({ client, program, via })
    const row = rows.get(key)
    if (row !== undefined) {
      row.times += 1
      row.leaseId = lease_id
      row.seq = seq
      if (at.millis >= row.last.millis) row.last = at
      else if (at.millis < row.first.millis) row.first = at
      if (client !== client_id) row.grouped = true
      return
    }
    const grouped = client !== client_id
    const added = { client, grouped, via, program, first: at, last: at, times: 1, seq, leaseId: lease_id }
    rows.set(key, added)
    this.weight += weightOf(added)
    if (this.weight > this.limit) this.shrink()
  }

  /** Counts a lease of the predecessor, unless its own entry is counted: that may be missing where the log begins later. */
  private adopt(name: string, fact: ExposureFact, { at, seq }: LogPlace): void {
    const issued = Option.getOrElse(parseTimestamp(fact.created_at ?? ""), () => at)
    const client = this.groupOf(fact.client_id ?? "")
    const rows = [...(this.secrets.get(name)?.at(-1)?.rows.values() ?? [])].filter((row) => row.client === client)
    if (rows.length === 0) return this.handOut(name, fact, { seq, at: issued })
    const printedRow = rows.find(({ program, via }) => via === printed && program === "")
    const known = Math.min(printedRow?.first.millis ?? Infinity, this.from?.at.millis ?? Infinity)
    if (printedRow === undefined || issued.millis >= known) return
    printedRow.times += 1
    printedRow.first = issued
  }

  private change(name: string, fact: ExposureFact, place: LogPlace): void {
    if (keepsValue(fact)) {
      if (fact.action === "secret_rotate") this.current(name).rotated = place
      return
    }
    const value = newValue({ ...place, by: fact.action, ...(isFormerValue(fact) && { former: true }) })
    this.push(name, value)
    this.batch.push(value)
    if (this.weight > this.limit) this.shrink()
  }

  /** A change is recorded before it is written; that failed. */
  private undoChange(name: string, action: string): void {
    const values = this.secrets.get(name)
    const last = values?.at(-1)
    if (values === undefined || last?.set === undefined || (last.set.by !== action && last.set.by !== "store_restore"))
      return
    values.pop()
    const before = values.at(-1)
    if (before !== undefined) this.merge(before, last)
    else if (last.rows.size === 0) this.secrets.delete(name)
    else values.push({ ...last, set: undefined })
  }

  private current(name: string): Value {
    const known = this.secrets.get(name)?.at(-1)
    if (known !== undefined) return known
    const value = newValue(undefined)
    this.push(name, value)
    return value
  }

  /** Makes a value the current one. Of the values before the previous one, those that nobody got are not kept. */
  private push(name: string, value: Value): void {
    this.weight += 1
    const values = this.secrets.get(name)
    if (values === undefined) return void this.secrets.set(name, [value])
    const old = values.at(-2)
    if (old !== undefined && old.rows.size === 0) values.splice(-2, 1)
    values.push(value)
  }

  private merge(into: Value, from: Value): void {
    into.rotated = from.rotated ?? into.rotated
    into.unnamed += from.unnamed
    for (const row of from.rows.values()) mergeRow(into, row)
  }

  private all(): ReadonlyArray<Value> {
    return [...this.secrets.values()].flat()
  }

  private weigh(): number {
    this.weight = this.all().reduce(
      (sum, { rows }) => rows.values().reduce((all, row) => all + weightOf(row), sum + 1),
      0
    )
    return this.weight
  }

  /** Merges rows, the least useful knowledge first, until there is room for others. */
  private shrink(): void {
    const enough = this.limit * 0.9
    const dropPrograms = () => this.all().forEach((value) => regroup(value, (row) => ({ ...row, program: "" })))
    const dropOldValues = () => this.secrets.forEach((values) => void values.splice(0, Math.max(0, values.length - 2)))
    // A flood of clients takes the names of its own secret, and of those that came last.
    const dropNames = () => {
      for (;;) {
        const most = this.all().reduce((size, { rows }) => Math.max(size, rows.size), 0)
        if (most <= 2) return
        this.all().forEach((value) => value.rows.size > Math.max(2, most / 2) && forgetNames(value))
        if (this.weigh() <= enough) return
      }
    }
    const dropSecrets = () => {
      for (const [name, values] of this.secrets) {
        if (values.every(({ rows }) => rows.size === 0)) this.secrets.delete(name)
      }
      if (this.weigh() <= enough) return
      for (const name of [...this.secrets.keys()].slice(0, Math.ceil(this.secrets.size / 5))) {
        this.secrets.delete(name)
        this.forgotten += 1
      }
    }
    for (const drop of [dropPrograms, dropOldValues, dropNames, dropSecrets]) {
      drop()
      if (this.weigh() <= enough) return
    }
  }
}

/**
 * Returns a different key for each row: a client and a program may hold any character, so the length parts them. That of
 * most rows is the client itself, which needs no new string.
 */
const keyOf = ({ client, program, via }: Pick<Row, "client" | "program" | "via">): string =>
  program === "" && via === printed && !client.startsWith("\0")
    ? client
    : `\0${via} ${client.length} ${client}${program}`

const mergeRow = ({ rows }: Value, row: Row): void => {
  const key = keyOf(row)
  const known = rows.get(key)
  if (known === undefined) return void rows.set(key, row)
  known.times += row.times
  known.grouped ||= row.grouped
  if (row.first.millis < known.first.millis) known.first = row.first
  if (row.last.millis > known.last.millis) known.last = row.last
  if (row.seq < known.seq) return
  known.seq = row.seq
  known.leaseId = row.leaseId
}

/** Changes rows, and merges those that become alike. */
const regroup = (value: Value, change: (row: Row) => Row): void => {
  const rows = [...value.rows.values()]
  value.rows.clear()
  for (const row of rows) mergeRow(value, change(row))
}

/** Takes the names from the half of the rows that came last. */
const forgetNames = (value: Value): void => {
  let at = 0
  const kept = Math.floor(value.rows.size / 2)
  regroup(value, (row) => {
    at += 1
    if (at <= kept || row.client === "") return row
    value.unnamed += 1
    return { ...row, client: "", via: "", program: "", leaseId: "" }
  })
}
