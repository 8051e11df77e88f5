/**
 * Turns leases into the answer of a helper protocol. The rules are the same for all of them:
 *
 * - The client id has the target and no pid, so a further call replaces the lease of the last one.
 * - The lease is not revoked: the other program has the value. It ends with the expiry in the answer. One whose value
 *   nobody got is revoked.
 * - Four seconds after its start the program has an answer or a reason, also if the daemon hangs.
 */
import { inGoUnits } from "../../../domain/spelledDuration.ts"
import { parentProgram } from "../../../process/parentProgram.ts"
import { after } from "../../../rpc/client/after.ts"
import { type ClientRequest, type SendOutcome, sendRequests } from "../../../rpc/client/sendRequests.ts"
import { notAReply, type RpcReply } from "../../../rpc/protocol/reply.ts"
import { matchesShape } from "../../../domain/shape.ts"
import { daemonAddress, defaultClientId } from "../../command/daemonAddress.ts"
import { explainAbsent, explainDenied } from "../../command/failedProblem.ts"
import { originOf } from "../../command/leaseOrigin.ts"
import { type Problem, usageError } from "../../command/Output.ts"
import { clientProblem, protocolProblem, refusalProblem } from "../../command/problems.ts"
import type { HelperArgs } from "./helperSpec.ts"
import type { HelperAnswer, HelperCall, HelperLease, HelperLeases, HelperProtocol } from "./Protocol.ts"
import type { ProtocolName } from "./protocols.ts"

/** Seconds from the start of the process: the strictest callers wait five. */
const patience = 3.8
/** However late the request is. */
const minSeconds = 0.2
/** What is left for the lease after waiting for a person. */
const reserve = 0.5

const defaultTtl = "15m"

/** The longest part of a client id that a target gets, in characters. */
const maxTarget = 80

/** What goes to standard output, the problem for standard error, and what ends the leases if the answer is not printed. */
export type Outcome = HelperAnswer & { readonly problem?: Problem; readonly undo?: () => Promise<unknown> }

export interface NamedProtocol extends HelperProtocol {
  readonly name: ProtocolName
}

/** Answers one request. */
export const answerCall = async (
  protocol: NamedProtocol,
  args: HelperArgs,
  call: HelperCall,
  ttl: string | undefined
): Promise<Outcome> => {
  const { failure, name, plan } = protocol
  const fail = (problem: Problem): Outcome => ({
    stdout: "",
    status: problem.exitStatus,
    ...failure?.(problem),
    problem
  })
  const planned = plan(call)
  if (planned.kind === "answer") return planned.answer
  if (planned.kind === "problem") return fail(planned.problem)
  const clientId = clientIdFor(name, args, planned.target)
  if (typeof clientId !== "string") return fail(clientId)
  const use = { client_id: clientId, ...originOf({ via: `helper:${name}`, ...calledBy() }, args.option("reason")) }
  if (planned.kind === "rejected") {
    await send(args, [{ method: "secrets.reportRejection", params: { secret_name: planned.secret, ...use } }])
    return { stdout: "", status: 0 }
  }
  const leased = await leaseApproved(args, planned, { ...use, ...ttlOfCall(protocol, args, planned, ttl) })
  if ("exitStatus" in leased) return fail(leased)
  const problem = planned.mayMiss ? undefined : problemsOf(planned, leased)[0]
  const rendered = problem ?? planned.render(leased)
  const undo = () => send(args, leased.ids.map(returnLease))
  if (!("exitStatus" in rendered)) return { ...rendered, undo }
  await undo()
  return fail(rendered)
}

/** Ends a lease as its holder, which ends no program. */
const returnLease = (lease_id: string): ClientRequest => ({
  method: "secrets.revoke",
  params: { lease_id, returned: true }
})

/** Returns the parameters for the TTL: one that nobody asked for may be shortened to what is permitted. */
const ttlOfCall = (protocol: HelperProtocol, args: HelperArgs, lease: HelperLease, ttl: string | undefined) => {
  const asked = args.option("ttl")
  if (asked !== undefined) return { ttl: inGoUnits(asked) }
  return { ttl: lease.ttl ?? protocol.ttl ?? ttl ?? defaultTtl, shorten: true }
}

const calledBy = (): { readonly program?: string } => {
  const program = parentProgram()
  return program === undefined ? {} : { program }
}

/** Returns the client id, which has the target unless the user gave an id. */
const clientIdFor = (name: ProtocolName, args: HelperArgs, target: string): string | Problem => {
  const given = args.option("client-id")
  if (given === "") return usageError("--client-id cannot be empty", "Omit it, or name a client")
  if (given !== undefined) return given
  const own = defaultClientId(args)
  // oxlint-disable-next-line no-control-regex -- a client id has none
  const shown = [...target.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "?")].slice(0, maxTarget).join("")
  return typeof own === "string" ? `${own}/${name}:${shown}` : own
}

/** What was leased, with the ids of the leases. */
type Leased = HelperLeases & { readonly ids: ReadonlyArray<string> }

const problemsOf = ({ secrets }: HelperLease, { problemOf }: HelperLeases): ReadonlyArray<Problem> =>
  secrets.flatMap((secret) => problemOf(secret) ?? [])

/** Leases the secrets of a plan; where a person has to approve it first, again after an answer in time. */
const leaseApproved = async (args: HelperArgs, plan: HelperLease, params: object): Promise<Leased | Problem> => {
  const leased = await leaseSecrets(args, plan, params)
  const pending = "exitStatus" in leased ? undefined : problemsOf(plan, leased).find(({ request }) => request)
  const address = daemonAddress(args)
  const seconds = secondsLeft(args) - reserve
  if (pending === undefined || "exitStatus" in address || seconds <= 0) return leased
  const { awaitOnFastPath } = await import("../requests/awaitAnswer.ts")
  const until = Number(process.hrtime.bigint() / 1_000_000n) + seconds * 1000
  const ended = await awaitOnFastPath({ ...address, seconds }, pending, undefined, until)
  return typeof ended === "number" ? leaseApproved(args, plan, params) : leased
}

/** Returns how long a request may take; --timeout counts from the start as well. */
const secondsLeft = (args: HelperArgs): number => {
  const given = Number(args.option("timeout")?.replace(/s$/, "") ?? patience)
  return given - process.uptime()
}

/** Leases the secrets of a plan on one connection. */
const leaseSecrets = async (args: HelperArgs, { secrets }: HelperLease, params: object): Promise<Leased | Problem> => {
  const names = [...new Set(secrets)]
  const outcome = await send(
    args,
    names.map((secret_name) => ({ method: "secrets.lease", params: { secret_name, ...params } }))
  )
  if ("exitStatus" in outcome) return outcome
  const leased = new Map(names.map((secret, at) => [secret, leaseIn(outcome[at])]))
  const valueOf = (secret: string) => {
    const found = leased.get(secret)
    return found === undefined || "exitStatus" in found ? "" : found.value
  }
  const problemOf = (secret: string) => {
    const found = leased.get(secret)
    return found !== undefined && "exitStatus" in found ? found : undefined
  }
  const granted = [...leased.values()].flatMap((one) => ("exitStatus" in one ? [] : [one]))
  const expiry = Math.min(...granted.map((one) => one.expiry))
  return { valueOf, problemOf, expiry, expiresAt: inUtc(expiry), ids: granted.map(({ id }) => id) }
}

interface GrantedLease {
  readonly id: string
  readonly value: string
  readonly expiry: number
}

/** Reads the reply to one request. */
const leaseIn = (reply: RpcReply | undefined): GrantedLease | Problem => {
  if (reply === undefined) return protocolProblem(notAReply)
  if (reply.error !== undefined) return refusalProblem(reply.error)
  const { result } = reply
  if (!matchesShape(result, { lease_id: "", value: "", expires_at: "" }))
    return protocolProblem("secrets.lease has an unexpected result")
  // oxlint-disable-next-line no-restricted-globals -- it only reads a time, and loads no library
  const expiry = Date.parse(result.expires_at)
  if (Number.isNaN(expiry)) return protocolProblem("the expiry is no time")
  return { id: result.lease_id, value: result.value, expiry }
}

const inUtc = (millis: number): string =>
  // oxlint-disable-next-line no-restricted-globals -- it only writes a time, and loads no library
  Number.isFinite(millis) ? new Date(millis).toISOString().replace(/\.\d+Z$/, "Z") : ""

/** Sends the requests, if there are any. */
const send = async (
  args: HelperArgs,
  requests: ReadonlyArray<ClientRequest>
): Promise<ReadonlyArray<RpcReply | undefined> | Problem> => {
  if (requests.length === 0) return []
  const address = daemonAddress(args)
  if ("exitStatus" in address) return explainDenied(address)
  const seconds = Number(Math.max(secondsLeft(args), minSeconds).toFixed(1))
  const outcome = await new Promise<SendOutcome>((resolve) => {
    sendRequests({ ...address, seconds, after, onWait: undefined }, requests, resolve)
  })
  return outcome._tag === "Replies" ? outcome.replies : explainDenied(await explainAbsent(args, clientProblem(outcome)))
}
