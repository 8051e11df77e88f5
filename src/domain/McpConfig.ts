/**
 * The section `mcp` of config.json: what `secrets mcp` offers to which client. Only the user's
 * file has it; a file of a project with such a section is rejected. Which secrets a client may use is the
 * business of the policy.
 */
import * as Schema from "effect/Schema"
import { defaults } from "./settingDefaults.ts"
import { hour, second } from "./GoDuration.ts"
import { mcpTools } from "./mcpTools.ts"
import * as Setting from "./Setting.ts"
import { optionalSetting, section, setting } from "./Setting.ts"

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
  tools: setting(toolList, "the tools that `secrets mcp` offers", defaults.mcp.tools),
  commands: setting(
    commandGlobs,
    "globs on the programs that run_with_secrets may start: on the path if a glob has a slash, else on the name",
    defaults.mcp.commands
  ),
  timeout: setting(duration, "within which run_with_secrets answers if a call names no time", defaults.mcp.timeout),
  max_timeout: setting(duration, "the longest time that a call may name", defaults.mcp.max_timeout),
  max_output: setting(
    Setting.size(minOutput),
    "how much of each output of a program a client gets",
    defaults.mcp.max_output
  ),
  audit: setting(
    Setting.oneOf(["own", "all"]),
    "whose entries search_audit returns: those of the client that asks, or all",
    defaults.mcp.audit
  ),
  clients: setting(
    Schema.Record(Schema.String, clientSection).annotate({ expected: "a JSON object" }),
    "by globs on the client id; the first that matches decides",
    defaults.mcp.clients
  )
})

export type McpSettings = typeof mcpSection.Type
