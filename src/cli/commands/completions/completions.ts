/**
 * secrets completions: what a shell needs to complete lines of `secrets`; the scripts
 * are made by `completionScript`.
 *
 * The scripts come back here for names, with `--names`, at every Tab: so that is a
 * question, which is answered at once or not at all.
 */
import { matchesShape } from "../../../rpc/protocol/shape.ts"
import { usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"

export const completionsCommand = defineQuery({
  name: "completions",
  summary: "Print the script that lets a shell complete commands, flags and names",
  positionals: "bash|zsh|fish",
  arity: [0, 1],
  completes: ["bash", "zsh", "fish"],
  flags: { names: { type: "string" } },
  examples: [
    'eval "$(secrets completions bash)"   # in ~/.bashrc',
    "secrets completions zsh > ~/.zfunc/_secrets   # a directory of $fpath",
    "secrets completions fish > ~/.config/fish/completions/secrets.fish"
  ],
  about:
    "Names of secrets, clients and leases are asked of the daemon; where there is none, only the rest is completed.",
  requests: (args) => {
    switch (args.option("names")) {
      case undefined:
        return undefined
      case "secret":
        return [{ method: "secrets.list", params: {} }]
      case "client":
        return [{ method: "secrets.leases", params: { limit: 1, top: 100 } }]
      case "lease":
        return [{ method: "secrets.leases", params: { limit: 100 } }]
      default:
        return usageError(
          "there are only names of secrets, clients and leases",
          "--names secret, --names client, --names lease"
        )
    }
  },
  render: ([found]) => {
    const names = namesIn(found)
    // What cannot be typed cannot be completed.
    return names === undefined
      ? undefined
      : {
          text: names
            .filter((name) => !/\p{Cc}/u.test(name))
            .map((name) => `${name}\n`)
            .join(""),
          result: { names }
        }
  }
})

const namesIn = (found: unknown): ReadonlyArray<string> | undefined => {
  if (matchesShape(found, { secrets: [{ name: "" }] })) return found.secrets.map(({ name }) => name)
  if (matchesShape(found, { by_client: [{ client_id: "" }] })) return found.by_client.map(({ client_id }) => client_id)
  return matchesShape(found, { leases: [{ lease_id: "" }] }) ? found.leases.map(({ lease_id }) => lease_id) : undefined
}
