/**
 * cargo: a credential provider (RFC 2730), a line of JSON for each request and each answer. Targets
 * are URLs of indexes: names of registries may come from a project's file.
 */
import { parseTargetUrl, type TargetUrl } from "../../../../domain/targetUrl.ts"
import type { Problem } from "../../../command/Output.ts"
import { matchesShape } from "../../../../domain/shape.ts"
import { answer, type HelperCall, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

export const cargo: HelperProtocol = {
  greeting: '{"v":[1]}\n',
  plan: (call): HelperPlan => {
    const request = parsed(call.input)
    if (!matchesShape(request, { v: 0, kind: "", registry: { "index-url": "" } }) || request.v !== 1)
      return failed("other", "the request is not of version 1")
    if (request.kind !== "get") return failed("operation-not-supported")
    const found = targetOf(call, request.registry["index-url"])
    if (found === undefined) return failed("url-not-supported")
    return leaseOne(found.key, found, (token, { expiry }) => {
      const expiration = Math.floor(expiry / 1000)
      return line({ Ok: { kind: "get", token, cache: "expires", expiration, operation_independent: true } })
    })
  },
  failure: (problem) => ({
    stdout: line(problem.code === "SecretNotFound" ? errorOf("not-found") : errorOf("other", textOf(problem))),
    status: 0
  })
}

const line = (reply: object) => `${JSON.stringify(reply)}\n`
const errorOf = (kind: string, message?: string) => ({ Err: { kind, message } })
const failed = (kind: string, message?: string): HelperPlan => answer(line(errorOf(kind, message)))
const textOf = ({ fix, message }: Problem): string => `secrets: ${message}. ${fix}`

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Where cargo asks for the token of crates.io, whose index has two addresses. */
const cratesIo = ["https://github.com/rust-lang/crates.io-index", "https://index.crates.io/"]

const indexOf = (text: string): string | undefined => {
  const url = parseTargetUrl(text.replace(/^sparse\+/, ""))
  return url === undefined
    ? undefined
    : cratesIo.some((one) => isSame(parseTargetUrl(one), url))
      ? "crates.io"
      : keyOf(url)
}

const keyOf = ({ host, path, scheme }: TargetUrl): string => `${scheme}://${[host, ...path].join("/")}`
const isSame = (one: TargetUrl | undefined, other: TargetUrl): boolean =>
  one !== undefined && keyOf(one) === keyOf(other)

const targetOf = ({ name, targets }: HelperCall, index: string) => {
  const asked = indexOf(index)
  if (asked === undefined) return undefined
  if (name !== undefined) return { key: asked, secret: name }
  const [key, target] = Object.entries(targets?.cargo ?? {}).find(([one]) => indexOf(one) === asked) ?? []
  return key === undefined || target === undefined ? undefined : { key, ...target }
}
