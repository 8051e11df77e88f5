/**
 * print: the value and a line feed, for every program that runs a command to get a password or a
 * key. Such programs trim the output, or take its first line.
 */
import { answered, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

export const print: HelperProtocol = {
  takesName: true,
  plan: ({ name, raw, words }): HelperPlan => {
    const secret = name ?? words[0] ?? ""
    return raw
      ? { kind: "lease", target: secret, secrets: [secret], render: ({ valueOf }) => answered(valueOf(secret)) }
      : leaseOne(secret, { secret }, (value) => `${value}\n`)
  }
}
