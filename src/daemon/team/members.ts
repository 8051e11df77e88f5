/**
 * Who is in the team: a chain of signed statements, and what follows from it.
 *
 * Each statement holds the hash of the one before it, and is signed by a machine that may change the list: one with the
 * right `admin`, or a machine that leaves. The database only keeps them. A machine pins those that it has verified, so
 * the owner of the database can neither add a reader nor take a statement back.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { sha256 } from "../../domain/AuditChain.ts"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { machineAddFact, machineRemoveFact, teamGroupFact } from "../../domain/daemonFacts.ts"
import { machineNamePattern } from "../../domain/TeamConfig.ts"
import { unescapeText } from "./escapeText.ts"
import { isSignedBy } from "./signatures.ts"

/** A statement as its signer wrote it: the hash and the signature are over these very bytes. */
export const SignedStatement = Schema.Struct({ statement: Schema.String, sig: Schema.String })
export type SignedStatement = typeof SignedStatement.Type

const text = (pattern: RegExp) => Schema.String.check(Schema.isPattern(pattern))
export const MachineName = text(machineNamePattern)
export const GroupName = MachineName
const Recipient = text(/^age1[0-9a-z]{58}$/u)

/** What a machine is known by. */
export const MachineKeys = Schema.Struct({
  machine: MachineName,
  recipient: Recipient,
  key: text(/^[A-Za-z0-9+/]{43}=$/u)
})
export type MachineKeys = typeof MachineKeys.Type

const link = { seq: Schema.Int, prev: Schema.String, by: MachineName }
const Groups = Schema.Array(GroupName)
const Statement = Schema.Union([
  Schema.Struct({
    do: Schema.Literal("found"),
    ...link,
    ...MachineKeys.fields,
    team: Schema.String,
    /** Who can read every secret besides: its identity is on paper. */
    paper: Schema.optionalKey(Recipient)
  }),
  Schema.Struct({
    do: Schema.Literal("add"),
    ...link,
    ...MachineKeys.fields,
    admin: Schema.Boolean,
    groups: Groups
  }),
  Schema.Struct({ do: Schema.Literal("remove"), ...link, machine: MachineName }),
  /** The groups of a machine from here on. */
  Schema.Struct({ do: Schema.Literal("groups"), ...link, machine: MachineName, groups: Groups }),
  /** The group whose machines may read a secret; its name is escaped. */
  Schema.Struct({ do: Schema.Literal("assign"), ...link, secret: Schema.String, group: GroupName })
])
export type Statement = typeof Statement.Type
/** What a signer says, without its place in the list. */
export type Said = Statement extends infer One
  ? One extends Statement
    ? Omit<One, "seq" | "prev" | "by">
    : never
  : never
const decodeStatement = Schema.decodeUnknownOption(Schema.fromJsonString(Statement))

export interface Member {
  readonly name: string
  readonly recipient: string
  readonly key: string
  readonly isAdmin: boolean
  readonly groups: ReadonlyArray<string>
}

/** The list after a statement. */
export interface MemberView {
  readonly members: ReadonlyMap<string, Member>
  /** The groups of secrets, by their escaped names; others are those of everyone. */
  readonly groupOf: ReadonlyMap<string, string>
}

export interface MemberList {
  readonly statements: ReadonlyArray<SignedStatement>
  /** The view after each statement, from none on. */
  readonly views: readonly [MemberView, ...ReadonlyArray<MemberView>]
  readonly paper: string | undefined
}

/** The group of every machine. */
export const everyone = "all"

/** The most machines whose stanzas one age file has. */
const maxMachines = 64

const noView: MemberView = { members: new Map(), groupOf: new Map() }
export const noMembers: MemberList = { statements: [], views: [noView], paper: undefined }

export const viewOf = ({ views }: MemberList): MemberView => views.at(-1) ?? noView

/** Returns the hash of a statement, which the next one holds; that of the first one identifies the team. */
export const statementHash = ({ statement }: SignedStatement): string => sha256(statement)

export const lastHash = ({ statements }: MemberList): string => {
  const last = statements.at(-1)
  return last === undefined ? "" : statementHash(last)
}

/** Verifies statements that follow a list; the failure states which one is wrong, and why. */
export const extendMembers = (
  list: MemberList,
  added: ReadonlyArray<SignedStatement>
): Result.Result<MemberList, string> => {
  let next = list
  for (const signed of added) {
    const seq = next.statements.length + 1
    const statement = Option.getOrUndefined(decodeStatement(signed.statement))
    if (statement === undefined) return Result.fail(`statement ${seq} is not one that this version reads`)
    const problem = problemOf(next, statement, signed)
    if (problem !== undefined) return Result.fail(`statement ${seq} ${problem}`)
    next = {
      statements: [...next.statements, signed],
      views: [...next.views, apply(viewOf(next), statement)],
      paper: statement.do === "found" ? statement.paper : next.paper
    }
  }
  return Result.succeed(next)
}

/** Returns what is wrong with the next statement of a list; undefined if nothing is. */
const problemOf = (list: MemberList, statement: Statement, signed: SignedStatement): string | undefined => {
  const { members } = viewOf(list)
  const isFirst = list.statements.length === 0
  if (statement.seq !== list.statements.length + 1 || statement.prev !== lastHash(list)) {
    return "does not follow the one before it"
  }
  if ((statement.do === "found") !== isFirst) return isFirst ? "does not found the team" : "founds another team"
  const signer = statement.do === "found" ? { key: statement.key, isAdmin: true } : members.get(statement.by)
  if (signer === undefined) return `is signed by ${statement.by}, which is not in the team`
  if (!isSignedBy(signer.key, signed.statement, signed.sig)) return `does not have the signature of ${statement.by}`
  const leaves = statement.do === "remove" && statement.machine === statement.by
  if (!signer.isAdmin && !leaves) return `is signed by ${statement.by}, which may not change the list`
  if (statement.do === "add") {
    if (members.has(statement.machine)) return `adds ${statement.machine} twice`
    return members.size < maxMachines ? undefined : `adds a machine to the ${maxMachines} that a team may have`
  }
  const isKnown = !("machine" in statement) || isFirst || members.has(statement.machine)
  return isKnown ? undefined : `names ${statement.machine}, which is not in the team`
}

const apply = ({ groupOf, members }: MemberView, statement: Statement): MemberView => {
  const next = new Map(members)
  switch (statement.do) {
    case "found":
    case "add": {
      const { key, machine: name, recipient } = statement
      const rights =
        statement.do === "found"
          ? { isAdmin: true, groups: [] }
          : { isAdmin: statement.admin, groups: statement.groups }
      return { groupOf, members: next.set(name, { name, recipient, key, ...rights }) }
    }
    case "remove":
      next.delete(statement.machine)
      return { groupOf, members: next }
    case "groups": {
      const member = next.get(statement.machine)
      return {
        groupOf,
        members: member === undefined ? members : next.set(member.name, { ...member, groups: statement.groups })
      }
    }
    case "assign":
      return { members, groupOf: new Map(groupOf).set(statement.secret, statement.group) }
  }
}

export const isInGroup = ({ groups }: Member, group: string): boolean => group === everyone || groups.includes(group)

export const groupOfSecret = ({ groupOf }: MemberView, secret: string): string => groupOf.get(secret) ?? everyone

/** Returns the machines that may read a secret, by its escaped name. */
export const readersOf = (view: MemberView, secret: string): ReadonlyArray<Member> => {
  const group = groupOfSecret(view, secret)
  return [...view.members.values()].filter((member) => isInGroup(member, group))
}

/** Returns the age recipients of a secret: those machines, and the paper. */
export const recipientsOf = (list: MemberList, secret: string): ReadonlyArray<string> => [
  ...readersOf(viewOf(list), secret).map(({ recipient }) => recipient),
  ...(list.paper === undefined ? [] : [list.paper])
]

/** Returns the next statement of a list as text, for its signer. */
export const nextStatement = (list: MemberList, by: string, said: object): string =>
  JSON.stringify({ seq: list.statements.length + 1, prev: lastHash(list), ...said, by })

/** Returns the role of a machine in the database. */
export const roleOf = (machine: string): string => `as_${machine.replaceAll("-", "_")}`

/** Returns the machine that signed the last statement. */
export const lastSigner = ({ statements }: MemberList): string | undefined =>
  Option.getOrUndefined(decodeStatement(statements.at(-1)?.statement ?? ""))?.by

/** Returns the machine that a statement adds; undefined if it adds none. */
export const addedMachine = ({ statement }: SignedStatement): string | undefined => {
  const said = Option.getOrUndefined(decodeStatement(statement))
  return said?.do === "add" ? said.machine : undefined
}

/** Returns the entry of a statement in the log of the machine that signed it; none for other machines. */
export const statementFact = ({ statement }: SignedStatement, signer: string): ReadonlyArray<AuditFact> => {
  const said = Option.getOrUndefined(decodeStatement(statement))
  if (said?.by !== signer || said.do === "found") return []
  if (said.do === "add") return [machineAddFact(`${said.machine} is in the team`)]
  if (said.do === "remove") return [machineRemoveFact(`${said.machine} is not in the team`)]
  return said.do === "groups"
    ? [teamGroupFact(`${said.machine} is in the groups: ${[everyone, ...said.groups].join(", ")}`)]
    : [{ ...teamGroupFact(`machines of the group ${said.group} may read it`), secret_name: unescapeText(said.secret) }]
}
