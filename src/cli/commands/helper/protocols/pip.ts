/**
 * pip: the command of the keyring library, which pip and uv run for the password of an index. They
 * ask for the address first and then for the host alone, which is no target.
 */
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { findTargetUrl, parseTargetUrl } from "../../../../domain/targetUrl.ts"
import { answer, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

const notFound = answer("", exitStatus.failed)

export const pip: HelperProtocol = {
  plan: ({ name, targets, username, words }): HelperPlan => {
    const { asksForUser, rest } = readWords(words)
    const [action, address = "", user] = rest
    const url = parseTargetUrl(address)
    if (action !== "get" || url === undefined) return notFound
    const found =
      name === undefined
        ? findTargetUrl(targets?.pip ?? {}, url)
        : { key: address, target: { secret: name, username: undefined } }
    if (found === undefined) return notFound
    const { key, target } = found
    const own = username ?? target.username
    if (user !== undefined && own !== undefined && user !== own) return notFound
    const first = asksForUser ? `${own ?? user ?? "__token__"}\n` : ""
    return leaseOne(key, target, (value) => `${first}${value}\n`)
  }
}

/** Reads `--mode creds`, with which uv gets a user name as well. */
const readWords = (words: ReadonlyArray<string>) => {
  const at = words.findIndex((word) => /^--mode(=|$)/.test(word))
  if (at < 0) return { asksForUser: false, rest: words }
  const length = words[at] === "--mode" ? 2 : 1
  const mode = words[at]?.split("=")[1] ?? words[at + 1]
  return { asksForUser: mode === "creds", rest: words.toSpliced(at, length) }
}
