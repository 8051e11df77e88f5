/**
 * askpass: answers the prompt of ssh, sudo or git. Everything but a password is refused: it is not
 * for a program to confirm what a person should.
 */
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { globMatcher } from "../../../../domain/glob.ts"
import { answer, type HelperPlan, type HelperProtocol, leaseOne, noTarget, type SecretTarget } from "../Protocol.ts"

export const askpass: HelperProtocol = {
  plan: ({ env, name, targets, username, words }): HelperPlan => {
    const prompt = words.join(" ")
    if (/^(confirm|none)$/.test(env["SSH_ASKPASS_PROMPT"] ?? "")) return answer("", exitStatus.failed)
    const globs = Object.entries(targets?.askpass ?? {}).toSorted(([a], [b]) => b.length - a.length)
    const [key, target]: readonly [key?: string, target?: SecretTarget] =
      name === undefined ? (globs.find(([glob]) => globMatcher(glob)(prompt)) ?? []) : [prompt, { secret: name }]
    if (key === undefined || target === undefined) return noTarget("askpass", prompt)
    if (prompt.startsWith("Username for ")) return answer(`${username ?? target.username ?? "x-access-token"}\n`)
    return leaseOne(key, target, (value) => `${value}\n`)
  }
}
