/**
 * openclaw: an exec provider of SecretRefs, protocol version 1. One request has many ids, and each of
 * them has a value or an error in the answer.
 */
import { memberOf } from "../../../../domain/reference.ts"
import { globMatcher } from "../../../../domain/glob.ts"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { matchesShape } from "../../../../domain/shape.ts"
import { answered, type HelperCall, type HelperPlan, type HelperProtocol, targetNamed, unfit } from "../Protocol.ts"

const maxIds = 512
const idPattern = /^(?!(?:.*\/)?\.{1,2}(?:\/|#|$))[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}$/

interface Wanted {
  readonly id: string
  /** Undefined if no target is for the id. */
  readonly secret: string | undefined
  readonly member: string | undefined
}

export const openclaw: HelperProtocol = {
  isComplete: (input) => input.trimEnd().endsWith("}") && parsed(input) !== undefined,
  plan: (call): HelperPlan => {
    const request = parsed(call.input)
    if (!matchesShape(request, { protocolVersion: 0, ids: [""] }) || request.protocolVersion !== 1)
      return { kind: "problem", problem: unreadable("it is not a request of protocol version 1") }
    if (request.ids.length > maxIds || !request.ids.every((id) => idPattern.test(id)))
      return { kind: "problem", problem: unreadable(`it has an invalid id, or more than ${maxIds}`) }
    const wanted = request.ids.map((id) => wantedBy(call, id))
    const provider: unknown = Reflect.get(request, "provider")
    return {
      kind: "lease",
      target: typeof provider === "string" ? provider : "",
      secrets: wanted.flatMap(({ secret }) => secret ?? []),
      mayMiss: true,
      render: ({ problemOf, valueOf }) => {
        const values = new Map<string, string>()
        const errors = new Map<string, { readonly message: string }>()
        for (const { id, member, secret } of wanted) {
          const message =
            secret === undefined ? "no target of helpers.openclaw is for this id" : problemOf(secret)?.message
          const value = message === undefined && secret !== undefined ? valueOf(secret) : undefined
          const found = value === undefined || member === undefined ? value : memberOf(value, member)
          if (found === undefined) errors.set(id, { message: message ?? "the value has no such member" })
          else values.set(id, found)
        }
        const reply = { protocolVersion: 1, values: Object.fromEntries(values), errors: Object.fromEntries(errors) }
        return answered(`${JSON.stringify(reply)}\n`, exitStatus.done)
      }
    }
  }
}

const parsed = (input: string): unknown => {
  try {
    return JSON.parse(input)
  } catch {
    return undefined
  }
}

const unreadable = (why: string) =>
  unfit(`cannot read the request: ${why}`, "Name this program as an exec provider of OpenClaw's secrets")

const wantedBy = ({ name, targets }: HelperCall, id: string): Wanted => {
  const [base = "", member] = id.split(/#(.*)/s)
  if (name !== undefined) return { id, secret: name, member }
  const all = targets?.openclaw ?? {}
  const globs = Object.keys(all).toSorted((a, b) => b.length - a.length)
  const key = [id, base].find((exact) => Object.hasOwn(all, exact)) ?? globs.find((glob) => globMatcher(glob)(base))
  const target = key === undefined ? undefined : targetNamed(all, key)
  return {
    id,
    secret: target === undefined ? undefined : (target.secret ?? `${target.prefix ?? ""}${base}`),
    // A target for the id with its member is for the whole value.
    member: key === id && key !== base ? undefined : member
  }
}
