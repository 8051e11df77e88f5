/**
 * The command line of `secrets helper`. It loads no library, and no protocol.
 */
import type { ArgsOf, CommandSpec, Flags } from "../../command/Command.ts"
import { unlimited } from "../../command/Command.ts"
import { reasonFlag } from "../../command/leaseOrigin.ts"

const flags = {
  name: {
    type: "string",
    value: "SECRET",
    summary: "the secret, instead of a target of config.json",
    completes: "secret"
  },
  username: { type: "string", value: "NAME", summary: "the user name to answer" },
  ttl: { type: "string", value: "DURATION", summary: "TTL of the leases (helpers.ttl, or 15m; aws: 1h)" },
  "client-id": {
    type: "string",
    value: "ID",
    summary: "client id of the leases (HOST/PROTOCOL:TARGET)",
    completes: "client",
    variable: "AGENT_SECRETS_CLIENT_ID"
  },
  reason: reasonFlag,
  raw: { type: "boolean", summary: "print: the value as it is, also of several lines" },
  dir: {
    type: "string",
    value: "DIR",
    summary: "shim, config: the directory (~/.local/lib/agent-secrets)",
    completes: "file"
  },
  "cargo-plugin": { type: "boolean" }
} as const satisfies Flags

export const helperSpec = {
  name: "helper",
  summary: "Answer another program that asks for a credential",
  positionals: "PROTOCOL | config PROTOCOL [TARGET] | shim PROTOCOL [ARGS]",
  arity: [1, unlimited],
  completes: [
    "print",
    "git",
    "openclaw",
    "aws",
    "docker",
    "kubernetes",
    "askpass",
    "terraform",
    "cargo",
    "pip",
    "headers",
    "config",
    "shim"
  ],
  flags,
  examples: [
    "secrets helper print anthropic_api_key",
    "secrets helper config git https://github.com",
    "secrets helper shim openclaw"
  ],
  about: [
    "Other programs run it, and read the answer on standard output: one, or none.",
    "Which secret goes where is in `helpers` of config.json, by protocol and target. See docs/helpers.md.",
    "The lease ends by its TTL. A further call of the same target replaces it."
  ].join("\n")
} as const satisfies CommandSpec<typeof flags>

export type HelperArgs = ArgsOf<typeof flags>
