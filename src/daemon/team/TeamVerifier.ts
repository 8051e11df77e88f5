/**
 * Verifies the chains of a team: each by itself, against the copy of this machine, against the anchors of the others,
 * and all of them against the leases that the database has.
 *
 * An anchor is an entry in which a machine signs the heads of the other chains, so that the end of a chain cannot be cut
 * off unseen once another machine has seen it. What it cannot show: false lines that a member writes about itself.
 */
import * as Option from "effect/Option"
import { type ChainedEntry, type ChainHead, decodeChainedEntry, sha256 } from "../../domain/AuditChain.ts"
import { counted } from "../../domain/counted.ts"
import { fromMillis, parseTimestamp } from "../../domain/Timestamp.ts"
import { anchorInterval, readAnchor } from "./anchors.ts"
import type { MemberList } from "./members.ts"

export type TeamFindingKind = "EDITED" | "GAP" | "TRUNCATED" | "BEHIND" | "FORKED" | "UNWITNESSED" | "STORY"

export interface TeamFinding {
  readonly kind: TeamFindingKind
  readonly machine: string
  readonly message: string
}

/** A chain as the database states it: where its part begins, and its head. */
export interface StatedChain {
  readonly name: string
  readonly base: ChainHead
  readonly head: ChainHead
  /** When the machine was removed, in milliseconds. */
  readonly removed?: number | undefined
}

interface Chain extends StatedChain {
  end: ChainHead
  broken: boolean
  readonly hashes: Map<number, string>
  /** When each entry was written, by its number. */
  readonly times: Map<number, number>
}

interface Anchor extends ChainHead {
  readonly machine: string
  readonly by: string
}

const ends: ReadonlySet<string> = new Set(["lease_replace", "lease_revoke", "lease_expire"])

/** Returns whether an entry ends every lease that was issued before it. */
const endsAll = ({ action, details = "", success }: ChainedEntry): boolean =>
  success && (action === "audit_restored" || (action === "killswitch" && details === "all leases revoked"))

const millisOf = ({ timestamp }: ChainedEntry): number =>
  Option.match(parseTimestamp(timestamp), { onNone: () => 0, onSome: ({ millis }) => millis })

export class TeamVerifier {
  private readonly own: string
  private readonly members: MemberList
  private readonly findings: Array<TeamFinding> = []
  private readonly chains = new Map<string, Chain>()
  private readonly anchors: Array<Anchor> = []
  private readonly acquired = new Map<
    string,
    { readonly machine: string; readonly secret: string; readonly at: number }
  >()
  /** When a secret was last deleted, which ends its leases without an entry for each. */
  private readonly deleted = new Map<string, number>()
  private readonly ended = new Map<string, string>()
  private endedAllAt = Number.NEGATIVE_INFINITY

  constructor(own: string, members: MemberList) {
    this.own = own
    this.members = members
  }

  begin(stated: StatedChain): void {
    this.chains.set(stated.name, { ...stated, end: stated.base, broken: false, hashes: new Map(), times: new Map() })
  }

  /** Adds the next line of a chain in the database. */
  add(machine: string, line: string): void {
    const chain = this.chains.get(machine)
    const entry = Option.getOrUndefined(decodeChainedEntry(line))
    if (chain === undefined) return
    if (chain.broken) {
      if (entry === undefined) return
      // What follows is known, though nothing seals it.
      chain.end = { seq: entry.seq, hash: sha256(`${line}\n`) }
      chain.hashes.set(entry.seq, chain.end.hash)
      return this.follow(machine, entry)
    }
    const next = chain.end.seq + 1
    const problem =
      entry === undefined || entry.seq < next
        ? (["EDITED", `entry ${next} is not one`] as const)
        : entry.seq > next
          ? ([
              "GAP",
              `${entry.seq - 1 === next ? `entry ${next} is` : `entries ${next} to ${entry.seq - 1} are`} missing`
            ] as const)
          : entry.prev === chain.end.hash
            ? undefined
            : (["EDITED", `entry ${chain.end.seq} is not as written`] as const)
    if (problem !== undefined) {
      this.find(problem[0], machine, problem[1])
      chain.broken = true
    }
    if (entry === undefined) return
    chain.end = { seq: entry.seq, hash: sha256(`${line}\n`) }
    chain.hashes.set(chain.end.seq, chain.end.hash)
    chain.times.set(entry.seq, millisOf(entry))
    this.follow(machine, entry)
  }

  /** Compares the lines of audit.log, which this machine holds, with its chain. */
  compareCopy(lines: Iterable<string>): void {
    const chain = this.chains.get(this.own)
    if (chain === undefined) return
    let more = 0
    for (const line of lines) {
      const entry = Option.getOrUndefined(decodeChainedEntry(line))
      if (entry === undefined || entry.seq <= chain.base.seq) continue
      const there = chain.hashes.get(entry.seq)
      const fits = more > 0 || entry.prev === chain.end.hash
      if (there === undefined ? entry.seq > chain.end.seq && !fits : there !== sha256(`${line}\n`)) {
        return this.find("FORKED", this.own, `audit.log and the database differ at entry ${entry.seq}`)
      }
      if (there === undefined && entry.seq > chain.end.seq) more += 1
      this.collectAnchors(this.own, entry, false)
    }
    if (more > 0)
      this.find("BEHIND", this.own, `audit.log has ${counted(more, "entry")} more, which the database has lost`)
  }

  /** Compares the story of all chains with the leases in the database, expired ones included. */
  end(leaseIds: ReadonlySet<string>, now: number): ReadonlyArray<TeamFinding> {
    for (const chain of this.chains.values()) this.checkEnd(chain)
    for (const anchor of this.anchors) this.checkAnchor(anchor)
    for (const { name } of this.chains.values()) this.checkWitness(name, now)
    for (const id of leaseIds) {
      if (!this.acquired.has(id)) this.find("STORY", "", `the lease ${id} is there, and no entry acquires it`)
    }
    for (const [id, { at, machine, secret }] of this.acquired) {
      const removed = this.chains.get(machine)?.removed ?? Number.NEGATIVE_INFINITY
      const isDeleted = at <= (this.deleted.get(secret) ?? Number.NEGATIVE_INFINITY)
      const isOver = this.ended.has(id) || isDeleted || at <= this.endedAllAt || at <= removed
      if (!isOver && !leaseIds.has(id)) this.find("STORY", machine, `the lease ${id} is gone, and no entry ends it`)
    }
    return this.findings
  }

  /** The number of entries of a chain in the database. */
  entriesOf(machine: string): number {
    return this.chains.get(machine)?.hashes.size ?? 0
  }

  private follow(machine: string, entry: ChainedEntry): void {
    const { action, lease_id: id, secret_name: secret = "", success } = entry
    const at = millisOf(entry)
    if (endsAll(entry)) this.endedAllAt = Math.max(this.endedAllAt, at)
    this.collectAnchors(machine, entry, true)
    if (!success) return
    if (action === "lease_acquire" && id !== undefined) this.acquired.set(id, { machine, secret, at })
    if (!ends.has(action)) return
    if (id === undefined) return void this.deleted.set(secret, Math.max(this.deleted.get(secret) ?? 0, at))
    const before = this.ended.get(id)
    if (before !== undefined) this.find("STORY", machine, `the lease ${id} ends twice, also by an entry of ${before}`)
    this.ended.set(id, machine)
  }

  private collectAnchors(machine: string, entry: ChainedEntry, isInDatabase: boolean): void {
    if (entry.action !== "audit_anchor") return
    const heads = readAnchor(entry.details ?? "", machine, this.members)
    if (heads === undefined && isInDatabase) {
      this.find("EDITED", machine, `the anchor in entry ${entry.seq} does not have the signature of ${machine}`)
    }
    for (const head of heads ?? []) this.anchors.push({ ...head, by: machine })
  }

  private checkEnd({ broken, end, head, name }: Chain): void {
    if (broken) return
    if (end.seq < head.seq)
      this.find("TRUNCATED", name, `the head is entry ${head.seq}, and the last entry is ${end.seq}`)
    else if (end.seq !== head.seq || end.hash !== head.hash)
      this.find("EDITED", name, `entry ${end.seq} is not the head`)
  }

  private checkAnchor({ by, hash, machine, seq }: Anchor): void {
    const chain = this.chains.get(machine)
    if (chain === undefined || chain.broken || seq <= chain.base.seq) return
    if (seq > chain.end.seq)
      this.find("TRUNCATED", machine, `${by} has seen entry ${seq}, and the last entry is ${chain.end.seq}`)
    else if (chain.hashes.get(seq) !== hash)
      this.find("EDITED", machine, `entry ${seq} is not the one that ${by} has seen`)
  }

  /** Reports a chain whose end only the database shows, for longer than machines take to see it. */
  private checkWitness(machine: string, now: number): void {
    const chain = this.chains.get(machine)
    if (chain === undefined || machine === this.own || this.chains.size < 2) return
    const seen = this.anchors.filter((anchor) => anchor.machine === machine && anchor.by !== machine)
    const last = Math.max(chain.base.seq, ...seen.map(({ seq }) => seq))
    const since = chain.times.get(last + 1)
    if (since === undefined || now - since < 2 * anchorInterval) return
    const time = fromMillis(since).text
    this.find("UNWITNESSED", machine, `since ${time}: no other machine has seen its entries from ${last + 1} on`)
  }

  private find(kind: TeamFindingKind, machine: string, message: string): void {
    const isKnown = this.findings.some((one) => one.kind === kind && one.machine === machine && one.message === message)
    if (!isKnown) this.findings.push({ kind, machine, message })
  }
}
