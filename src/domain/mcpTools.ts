/** The tools of `secrets mcp`, and which of them, and of the programs, a client may use. */
import { globMatcher } from "./glob.ts"

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
export const defaultTools: ReadonlyArray<McpToolName> = mcpTools.slice(0, -2)

/** What a client may do. */
export interface McpAllowance {
  readonly tools: ReadonlyArray<McpToolName>
  /** Globs on programs. */
  readonly commands: ReadonlyArray<string>
}

/** What the settings allow: in general, and by globs on the client id. */
interface McpAllowances extends McpAllowance {
  readonly clients: Readonly<Record<string, { readonly [Key in keyof McpAllowance]: McpAllowance[Key] | undefined }>>
}

/** Returns what the settings allow to a client: the general lists, or those of the first glob that matches its id. */
export const allowanceOf = ({ clients, commands, tools }: McpAllowances, clientId: string): McpAllowance => {
  const own = Object.entries(clients).find(([glob]) => globMatcher(glob)(clientId))?.[1]
  return { tools: own?.tools ?? tools, commands: own?.commands ?? commands }
}
