/**
 * secrets mcp config: prints what goes into the settings of a client, and changes nothing. With
 * --wrap it is another server, which gets its key from `secrets exec` in place of plain text.
 *
 * Paths are absolute: clients start a server without a shell, and some with a short environment.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { quote } from "../../../domain/goText.ts"
import { failUsage } from "../../command/CommandError.ts"
import { printNotice } from "../../command/Output.ts"
import { shellWord } from "../project/findProject.ts"
import { thisProgram } from "../service/renderService.ts"
import { type McpClient, mcpClients } from "./mcpClients.ts"
import type { McpArgs } from "./mcpFlags.ts"

interface ServerEntry {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** Above a call of a minute, which clients end by default. In seconds. */
const toolTimeout = 120

export const mcpSnippet = Effect.fnUntraced(function* (args: McpArgs, given: string | undefined) {
  const client = given !== undefined && Object.hasOwn(mcpClients, given) ? mcpClients[given] : undefined
  const known = `Use one of: ${Object.keys(mcpClients).join(", ")}`
  if (given === undefined || client === undefined) {
    return yield* failUsage(given === undefined ? "config has no CLIENT" : `unknown client ${quote(given)}`, known)
  }
  const { program, runtime } = yield* thisProgram
  const [command, ...own] = runtime === undefined ? [program] : [runtime, program]
  const entry = yield* args.option("wrap") === undefined
    ? Effect.succeed(ownEntry(args, given, command ?? "", own))
    : wrappedEntry(args, command ?? "", own)
  const text = textOf(client, entry)
  printNotice(`secrets mcp: for ${client.title} (${client.place}):`)
  return {
    lines: text.split("\n"),
    result: { client: given, place: client.place, text, server: entry }
  }
})

const ownEntry = (args: McpArgs, client: string, command: string, own: ReadonlyArray<string>): ServerEntry => ({
  name: "agent-secrets",
  command,
  args: [
    ...own,
    "mcp",
    ...args.options("secret").flatMap((glob) => ["--secret", glob]),
    ...args.options("tool").flatMap((tool) => ["--tool", tool]),
    ...args.options("project").flatMap((project) => ["--project", path.resolve(project)])
  ],
  env: { AGENT_SECRETS_CLIENT_ID: args.option("client-id") ?? client }
})

const wrappedEntry = Effect.fnUntraced(function* (args: McpArgs, command: string, own: ReadonlyArray<string>) {
  const name = args.option("wrap") ?? ""
  const example = "secrets mcp config cursor --wrap gh --secret gh=GH_TOKEN -- npx -y @x/server"
  if (!/^[\w.-]{1,64}$/.test(name)) {
    return yield* failUsage("--wrap must be letters, digits, ., _ and -", `For example: ${example}`)
  }
  const [, , ...program] = args.positionals
  const secrets = args.options("secret")
  if (secrets.length === 0 || program.length === 0) {
    return yield* failUsage("--wrap needs --secret, and the command line of the server", `For example: ${example}`)
  }
  const entry: ServerEntry = {
    name,
    command,
    args: [...own, "exec", ...secrets.flatMap((secret) => ["--secret", secret]), "--", ...program],
    env: {}
  }
  return entry
})

const textOf = ({ form }: McpClient, { args, command, env, name }: ServerEntry): string => {
  const words = [command, ...args].map(shellWord).join(" ")
  const variables = Object.entries(env).map(([variable, value]) => `${variable}=${value}`)
  const stdio = { type: "stdio", command, args, ...(variables.length > 0 && { env }) }
  switch (form) {
    // The name comes before --env, which takes several.
    case "claude":
      return `claude mcp add --scope user ${name} ${variables.map((one) => `--env ${shellWord(one)} `).join("")}-- ${words}`
    case "openclaw":
      return `openclaw mcp add ${name} --command ${shellWord(command)} ${args.map((one) => `--arg ${shellWord(one)}`).join(" ")} --timeout ${toolTimeout}`
    case "code":
      return `code --add-mcp ${shellWord(JSON.stringify({ name, ...stdio }))}`
    case "mcpServers":
      return JSON.stringify({ mcpServers: { [name]: stdio } }, undefined, 2)
    case "codex":
      return [
        `[mcp_servers.${name}]`,
        `command = ${JSON.stringify(command)}`,
        `args = ${JSON.stringify(args)}`,
        ...(variables.length === 0
          ? []
          : [
              `env = { ${Object.entries(env)
                .map(([variable, value]) => `${variable} = ${JSON.stringify(value)}`)
                .join(", ")} }`
            ]),
        "startup_timeout_sec = 10",
        `tool_timeout_sec = ${toolTimeout}`
      ].join("\n")
  }
}
