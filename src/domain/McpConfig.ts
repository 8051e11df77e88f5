/**
 * The section `mcp` of config.json: what `secrets mcp` offers to which client. Only the user's
 * file has it; a file of a project with such a section is rejected. Which secrets a client may use is the
 * business of the policy.
 */
import * as Schema from "effect/Schema"
import { globMatcher } from "./glob.ts"
import { hour, minute, second } from "./GoDuration.ts"
import * as Setting from "./Setting.ts"
import { optionalSetting, section, setting } from "./Setting.ts"

/** All tools, in the order in which clients list them. */
export const mcpTools = [
  "list_secrets",
  "run_with_secrets",
  "request_secret",
  "list_leases",
  "revoke_leases",
  "write_env_file",
  "search_audit"
] as const
export type McpToolName = (typeof mcpTools)[number]

/** All but the last two: a file holds values, and the log names other clients. */
const defaultTools: ReadonlyArray<McpToolName> = mcpTools.slice(0, -2)

const oneOfTools = `a list of some of ${mcpTools.join(", ")}`
const toolList = Schema.Array(Schema.Literals(mcpTools)).annotate({ expected: oneOfTools })

const listOfGlobs = "a list of at most 100 globs, each of 1 to 256 characters"
const commandGlobs = Schema.Array(Setting.glob.check(Schema.isMaxLength(256)))
  .check(Schema.isMaxLength(100))
  .annotate({ expected: listOfGlobs })

const clientSection = section({
  tools: optionalSetting(toolList, "the tools that it gets, instead of mcp.tools"),
  commands: optionalSetting(commandGlobs, "the programs that it may start, instead of mcp.commands")
}).annotate({ expected: "a JSON object", description: "a client" })

const duration = Setting.duration({ minimum: second, maximum: hour })

/** Smaller output would say nothing. */
const minOutput = 1000

export const mcpSection = section({
  tools: setting(toolList, "the tools that `secrets mcp` offers", defaultTools),
  commands: setting(
    commandGlobs,
    "globs on the programs that run_with_secrets may start: on the path if a glob has a slash, else on the name",
    ["*"]
  ),
  timeout: setting(duration, "within which run_with_secrets answers if a call names no time", 50n * second),
  max_timeout: setting(duration, "the longest time that a call may name", 10n * minute),
  max_output: setting(Setting.size(minOutput), "how much of each output of a program a client gets", 16_000),
  audit: setting(
    Setting.oneOf(["own", "all"]),
    "whose entries search_audit returns: those of the client that asks, or all",
    "own"
  ),
  clients: setting(
    Schema.Record(Schema.String, clientSection).annotate({ expected: "a JSON object" }),
    "by globs on the client id; the first that matches decides",
    {}
  )
})

export type McpSettings = typeof mcpSection.Type

/** What a client may do. */
export interface McpAllowance {
  readonly tools: ReadonlyArray<McpToolName>
  /** Globs on programs. */
  readonly commands: ReadonlyArray<string>
}

/** Returns what the settings allow to a client: the general lists, or those of the first glob that matches its id. */
export const allowanceOf = (
  { clients, commands, tools }: Pick<McpSettings, "clients" | "commands" | "tools">,
  clientId: string
): McpAllowance => {
  const own = Object.entries(clients).find(([glob]) => globMatcher(glob)(clientId))?.[1]
  return { tools: own?.tools ?? tools, commands: own?.commands ?? commands }
}
