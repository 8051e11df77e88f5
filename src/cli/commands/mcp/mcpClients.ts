/**
 * The clients whose settings `secrets mcp config` prints, as data: where the settings are, and
 * how they are written.
 */

/** How a client is configured to use a server: a command of its own, or a part of a file. */
type Form = "claude" | "openclaw" | "code" | "codex" | "mcpServers"

export interface McpClient {
  /** As a person calls it. */
  readonly title: string
  /** Where the snippet goes. */
  readonly place: string
  readonly form: Form
}

export const mcpClients: Readonly<Record<string, McpClient>> = {
  "claude-code": { title: "Claude Code", place: "run it in a shell", form: "claude" },
  codex: { title: "Codex", place: "~/.codex/config.toml", form: "codex" },
  cursor: { title: "Cursor", place: "~/.cursor/mcp.json", form: "mcpServers" },
  vscode: { title: "VS Code", place: "run it in a shell", form: "code" },
  copilot: { title: "Copilot", place: "~/.copilot/mcp-config.json", form: "mcpServers" },
  gemini: { title: "Gemini", place: "~/.gemini/settings.json", form: "mcpServers" },
  openclaw: { title: "OpenClaw", place: "run it in a shell", form: "openclaw" }
}
