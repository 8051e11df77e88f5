/**
 * Asks a protocol as another program would, with the secrets that the daemon has.
 */
import { refusalProblem } from "../../../../src/cli/command/problems.ts"
import type { HelperCall, HelperProtocol } from "../../../../src/cli/commands/helper/Protocol.ts"
import { isProtocolName, type ProtocolName, protocols } from "../../../../src/cli/commands/helper/protocols.ts"

const loaded = new Map<ProtocolName, HelperProtocol>()
for (const name of Object.keys(protocols).filter(isProtocolName)) loaded.set(name, await protocols[name]())

/** When every lease ends. */
export const end = 1_780_000_000_999
export const ended = "2026-05-28T20:26:40Z"

export interface Asked extends Partial<Omit<HelperCall, "targets">> {
  readonly targets?: object
  readonly secrets?: Readonly<Record<string, string>>
}

export interface Told {
  readonly stdout: string
  readonly status: number
  readonly leased: ReadonlyArray<string>
  readonly target?: string
  readonly rejected?: string
  readonly problem?: string
}

/** Returns the answer and what was leased; `problem` is the text for standard error. */
export const ask = (protocol: ProtocolName, { secrets = {}, targets, ...given }: Asked): Told => {
  const call = {
    words: [],
    input: "",
    name: undefined,
    username: undefined,
    raw: false,
    env: {},
    ...given,
    targets: targets as HelperCall["targets"]
  }
  const plan = loaded.get(protocol)?.plan(call)
  if (plan === undefined) throw new Error(protocol)
  if (plan.kind === "answer") return { ...plan.answer, leased: [] }
  if (plan.kind === "problem")
    return { stdout: "", status: plan.problem.exitStatus, leased: [], problem: plan.problem.message }
  if (plan.kind === "rejected") return { stdout: "", status: 0, leased: [], rejected: plan.secret }
  const missing = (name: string) =>
    Object.hasOwn(secrets, name)
      ? undefined
      : refusalProblem({ message: `secret "${name}": secret not found`, tag: "SecretNotFound" })
  const rendered = plan.render({
    valueOf: (name) => secrets[name] ?? "",
    problemOf: missing,
    expiry: end,
    expiresAt: ended
  })
  const leased = [...plan.secrets]
  return "exitStatus" in rendered
    ? { stdout: "", status: rendered.exitStatus, leased, problem: rendered.message }
    : { ...rendered, leased, target: plan.target }
}
