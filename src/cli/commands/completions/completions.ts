/**
 * secrets completions: prints a shell's completion script (`completionScript`).
 *
 * The script calls `--names` at every Tab for names from the daemon. That is a query on
 * the fast path, because it must be quick.
 */
import { escapeLine } from "../../../domain/escape.ts"
import { matchesShape } from "../../../domain/shape.ts"
import { usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"

export const completionsCommand = defineQuery({
  name: "completions",
  summary: "Print a shell completion script",
  positionals: "bash|zsh|fish",
  arity: [0, 1],
  completes: ["bash", "zsh", "fish"],
  flags: { names: { type: "string" } },
  examples: [
    'eval "$(secrets completions bash)"   # in ~/.bashrc',
    "secrets completions zsh > ~/.zfunc/_secrets   # a directory of $fpath",
    "secrets completions fish > ~/.config/fish/completions/secrets.fish"
  ],
  about: "Completes commands and flags, and names of secrets, clients, leases and routes while the daemon is running.",
  requests: (args) => {
    switch (args.option("names")) {
      case undefined:
        return undefined
      case "secret":
        return [{ method: "secrets.list", params: { every: true } }]
      case "client":
        return [{ method: "secrets.leases", params: { limit: 1, top: 100 } }]
      case "route":
        return [{ method: "proxy.status", params: {} }]
      case "lease":
        return [{ method: "secrets.leases", params: { limit: 100 } }]
      default:
        return usageError("unknown kind of names", "Use --names secret, client, lease or route")
    }
  },
  render: ([found]) => {
    const names = namesIn(found)
    // A name that has to be escaped cannot be typed.
    return names === undefined
      ? undefined
      : {
          verbatim: names
            .filter((name) => escapeLine(name) === name)
            .map((name) => `${name}\n`)
            .join(""),
          result: { names }
        }
  }
})

const namesIn = (found: unknown): ReadonlyArray<string> | undefined => {
  if (matchesShape(found, { secrets: [{ name: "" }] })) return found.secrets.map(({ name }) => name)
  if (matchesShape(found, { by_client: [{ client_id: "" }] })) return found.by_client.map(({ client_id }) => client_id)
  if (matchesShape(found, { routes: [{ name: "" }] })) return found.routes.map(({ name }) => name)
  return matchesShape(found, { leases: [{ lease_id: "" }] }) ? found.leases.map(({ lease_id }) => lease_id) : undefined
}
