/**
 * git: a credential helper, called with an action after its own arguments. The request is lines
 * `key=value` until an empty line. A target that is not ours gets nothing, so git asks the next helper.
 *
 * A refusal by the daemon's policy or a person makes git stop: an agent must not meet a prompt.
 */
import type { ErrorTag } from "../../../../rpc/protocol/errorTags.ts"
import { findTargetUrl, targetUrl } from "../../../../domain/targetUrl.ts"
import { answer, type HelperCall, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

/** GitHub takes any name beside a token, and this one for all of its kinds. */
const anyUser = "x-access-token"

const nothing = answer("")

const refusals: ReadonlySet<string> = new Set<ErrorTag>(["PolicyDenied", "ProxyOnly", "AccessDenied", "ApprovalDenied"])

export const git: HelperProtocol = {
  isComplete: (input) => /(^|\n)\n/.test(input),
  plan: (call): HelperPlan => {
    const [action] = call.words
    if (action !== "get" && action !== "erase") return nothing
    const asked = attributesIn(call.input)
    const found = targetOf(call, asked)
    if (found === undefined) return nothing
    const username = call.username ?? found.username ?? asked.get("username") ?? anyUser
    if (action === "erase") {
      // A credential of another user came from elsewhere.
      const isOurs = (asked.get("username") ?? username) === username
      return isOurs ? { kind: "rejected", target: found.key, secret: found.secret } : nothing
    }
    // No other helper stores what is marked as ephemeral; git must know the word.
    const [first, last] = asked.has("capability[] authtype") ? ["capability[]=authtype\n", "ephemeral=1\n"] : ["", ""]
    return leaseOne(found.key, found, (password, { expiry }) => {
      const expires = `password_expiry_utc=${Math.floor(expiry / 1000)}\n`
      return `${first}username=${username}\npassword=${password}\n${expires}${last}\n`
    })
  },
  failure: ({ code }) => (refusals.has(code) ? { stdout: "quit=1\n\n" } : {})
}

/** Returns the attributes by name; of a list, a name with each value. */
const attributesIn = (input: string): ReadonlyMap<string, string> => {
  const [lines = ""] = input.split(/(?<=^|\n)\n/)
  return new Map(
    lines.split("\n").flatMap((line) => {
      const [, name = "", value = ""] = /^([^=]+)=([^\0]*)$/.exec(line) ?? []
      return name.endsWith("[]") ? [[`${name} ${value}`, value] as const] : name === "" ? [] : [[name, value] as const]
    })
  )
}

const targetOf = ({ name, targets }: HelperCall, asked: ReadonlyMap<string, string>) => {
  const url = targetUrl(asked.get("protocol") ?? "", asked.get("host") ?? "", asked.get("path"))
  if (url === undefined) return undefined
  if (name !== undefined) return { key: `${url.scheme}://${url.host}`, secret: name, username: undefined }
  const found = findTargetUrl(targets?.git ?? {}, url)
  return found === undefined ? undefined : { key: found.key, ...found.target }
}
