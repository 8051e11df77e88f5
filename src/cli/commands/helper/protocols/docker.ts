/**
 * docker: a credential helper of Docker, Podman, Helm and others. Errors go to standard output,
 * which is where they read them. Only "not found" lets them go on without a credential.
 */
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { registryName } from "../../../../domain/targetUrl.ts"
import { answer, type HelperCall, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

const notFound = answer("credentials not found in native keychain\n", exitStatus.failed)
const kept = answer("secrets: kept by agent-secrets; use secrets update NAME\n", exitStatus.failed)

export const docker: HelperProtocol = {
  isComplete: (input) => input.includes("\n"),
  plan: (call): HelperPlan => {
    const { targets, words } = call
    const [action] = words
    if (action === "list") {
      const users = Object.entries(targets?.docker ?? {}).map(([server, { username }]) => [server, username] as const)
      return answer(`${JSON.stringify(Object.fromEntries(users))}\n`)
    }
    if (action !== "get") return kept
    const server = call.input.split(/\r?\n/, 1)[0] ?? ""
    const found = targetOf(call, server)
    if (found === undefined) return notFound
    return leaseOne(
      found.key,
      found,
      (value) => `${JSON.stringify({ ServerURL: server, Username: found.username, Secret: value })}\n`
    )
  },
  failure: ({ message }) => ({ stdout: `secrets: ${message}\n`, status: exitStatus.failed })
}

const targetOf = ({ name, targets, username }: HelperCall, server: string) => {
  const asked = registryName(server)
  if (asked === undefined) return undefined
  if (name !== undefined) return { key: asked, secret: name, username: username ?? "x-access-token" }
  const [key, target] = Object.entries(targets?.docker ?? {}).find(([one]) => registryName(one) === asked) ?? []
  return key === undefined || target === undefined
    ? undefined
    : { key, ...target, username: username ?? target.username }
}
