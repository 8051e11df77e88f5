/**
 * The flags of `secrets mcp`. They only narrow what config.json allows.
 */
import { mcpTools } from "../../../domain/mcpTools.ts"
import type { ArgsOf, Flags } from "../../command/Command.ts"

export const mcpFlags = {
  "client-id": {
    type: "string",
    value: "ID",
    summary: "client id of the leases (AGENT_SECRETS_CLIENT_ID, or what the client calls itself)",
    completes: "client",
    variable: "AGENT_SECRETS_CLIENT_ID"
  },
  secret: { type: "string", value: "GLOB", summary: "only these secrets; may be repeated", completes: "secret" },
  tool: { type: "string", value: "NAME", summary: "only these tools; may be repeated", completes: mcpTools },
  project: {
    type: "string",
    value: "PATH",
    summary: "the project's directory (CLAUDE_PROJECT_DIR, or the working directory)",
    completes: "file"
  },
  wrap: {
    type: "string",
    value: "NAME",
    summary: "config: for a server of this name that gets its key by secrets exec"
  }
} as const satisfies Flags

export type McpArgs = ArgsOf<typeof mcpFlags>
