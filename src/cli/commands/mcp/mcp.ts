/**
 * secrets mcp: serves tools to an agent over standard input and output, as the Model Context
 * Protocol has it. No tool can return a value.
 *
 * The server is loaded when the client speaks, and after the handshake has its answer: its libraries are larger than the
 * rest of the program.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { clientIdExpected, clientIdPattern } from "../../../domain/paths.ts"
import { mcpTools, type McpToolName } from "../../../domain/mcpTools.ts"
import { quote } from "../../../domain/goText.ts"
import { defineCommand, unlimited } from "../../command/Command.ts"
import { failUsage, workingDirectory } from "../../command/CommandError.ts"
import { loadConfig } from "../../command/settings.ts"
import { mcpClients } from "./mcpClients.ts"
import { type McpArgs, mcpFlags } from "./mcpFlags.ts"

export const mcpCommand = defineCommand({
  name: "mcp",
  summary: "Serve tools to an agent, or print its settings for that",
  positionals: "[config CLIENT [-- COMMAND]]",
  arity: [0, unlimited],
  completes: ["config", ...Object.keys(mcpClients)],
  flags: mcpFlags,
  examples: [
    "secrets mcp config claude-code",
    "secrets mcp config codex",
    "secrets mcp config cursor --wrap gh --secret gh=GH_TOKEN -- npx -y @x/server",
    "secrets mcp --client-id ci --secret 'ci_*' --tool run_with_secrets"
  ],
  about: [
    "Without arguments it is a server of the Model Context Protocol on standard input and output. Agents start it.",
    "No tool returns a value: a program gets values in its environment, and its output is masked.",
    "The section `mcp` of config.json says which tools and programs a client may use; flags only narrow that.",
    `config prints what goes into the settings of ${Object.keys(mcpClients).join(", ")}.`
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const [subcommand, client] = args.positionals
    if (subcommand === "config") {
      const { mcpSnippet } = yield* Effect.promise(() => import("./mcpSnippet.ts"))
      return yield* mcpSnippet(args, client)
    }
    if (subcommand !== undefined) {
      return yield* failUsage(`unknown subcommand ${quote(subcommand)}`, "See: secrets mcp --help")
    }
    if (args.option("wrap") !== undefined)
      return yield* failUsage("--wrap requires config", "secrets mcp config CLIENT")
    const session = yield* sessionOf(args)
    const { openStdio } = yield* Effect.promise(() => import("./mcpStdio.ts"))
    const stdio = yield* openStdio
    const loading = Effect.andThen(
      stdio.begun,
      Effect.promise(() => import("./serveMcp.ts"))
    )
    const loaded = yield* Effect.raceFirst(loading, Effect.as(stdio.left, undefined))
    return yield* loaded === undefined ? exitNow : loaded.serveMcp(session, stdio)
  })
})

/** Exits without releasing anything, since nothing was acquired. */
const exitNow = Effect.sync(() => process.exit(exitStatus.done))

const sessionOf = Effect.fnUntraced(function* (args: McpArgs) {
  const clientId = args.option("client-id")
  if (clientId !== undefined && !clientIdPattern.test(clientId)) {
    return yield* failUsage(`--client-id must be ${clientIdExpected}`, "Name another client")
  }
  const tools = yield* Effect.forEach(args.options("tool"), toolNamed)
  const given = args.option("project") ?? (process.env["CLAUDE_PROJECT_DIR"] || (yield* workingDirectory))
  const { isDirectory, realPathOf } = yield* Effect.promise(() => import("./session.ts"))
  const project = yield* realPathOf(path.resolve(given))
  if (project === undefined || !isDirectory(project)) {
    return yield* failUsage("the directory of the project does not exist", "Name another: --project PATH")
  }
  const { mcp: settings } = yield* loadConfig(args)
  let runs = 0
  return { args, settings, project, clientId, tools, secrets: args.options("secret"), nextRun: () => (runs += 1) }
})

const toolNamed = (name: string) => {
  const tool = mcpTools.find((one): one is McpToolName => one === name)
  return tool === undefined
    ? failUsage(`there is no tool ${quote(name)}`, `The tools: ${mcpTools.join(", ")}`)
    : Effect.succeed(tool)
}
