/**
 * What goes into the settings of other programs, for `secrets helper config`: lines to paste or to
 * run, with comments that name the file.
 */
import { quoteWord } from "../../../domain/shellWord.ts"
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import { findTargetUrl, parseTargetUrl, registryName } from "../../../domain/targetUrl.ts"
import { targetNamed } from "./Protocol.ts"
import type { ProtocolName } from "./protocols.ts"

export interface SnippetContext {
  /** The absolute command line of this program. */
  readonly words: ReadonlyArray<string>
  readonly target: string | undefined
  readonly targets: HelperTargets | undefined
  /** The path of config.json. */
  readonly file: string
}

export const snippetOf = (protocol: ProtocolName, context: SnippetContext): ReadonlyArray<string> => {
  const { example, isKnown, lines, member } = snippets[protocol]
  const target = context.target ?? example
  const command = (...args: ReadonlyArray<string>) => [...context.words, "helper", protocol, ...args]
  const missing =
    member === undefined || isKnown?.(context.targets, target) !== false
      ? []
      : [
          `# In ${context.file}, where NAME is a secret:`,
          `#   ${JSON.stringify({ helpers: { [protocol]: { [target]: member } } })}`
        ]
  return [...missing, ...lines({ command, target })]
}

interface Snippet {
  /** The target if none is named. */
  readonly example: string
  /** What config.json has for a target; undefined if the protocol has no targets. */
  readonly member?: object
  readonly isKnown?: (targets: HelperTargets | undefined, target: string) => boolean
  readonly lines: (asked: {
    readonly command: (...args: ReadonlyArray<string>) => ReadonlyArray<string>
    readonly target: string
  }) => ReadonlyArray<string>
}

const shell = (words: ReadonlyArray<string>): string => words.map(quoteWord).join(" ")
const json = (value: unknown): ReadonlyArray<string> => JSON.stringify(value, undefined, 2).split("\n")
const named = { secret: "NAME" }

const snippets: Readonly<Record<ProtocolName, Snippet>> = {
  print: {
    example: "NAME",
    lines: ({ command, target }) => {
      const [program = "", ...args] = command(target)
      return [
        "# Claude Code, ~/.claude/settings.json:",
        ...json({ apiKeyHelper: shell(command(target)) }),
        "# Codex, ~/.codex/config.toml, for a provider of yours:",
        "[model_providers.NAME.auth]",
        `command = ${JSON.stringify(program)}`,
        `args = ${JSON.stringify(args)}`,
        "timeout_ms = 5000",
        "refresh_interval_ms = 300000",
        "# restic, borg and others, in the environment:",
        `export RESTIC_PASSWORD_COMMAND=${quoteWord(shell(command(target)))}`,
        `export BORG_PASSCOMMAND=${quoteWord(shell(command(target)))}`,
        "# pnpm takes a path without arguments: secrets helper shim print NAME"
      ]
    }
  },
  headers: {
    example: "NAME",
    lines: ({ command, target }) => [
      "# Claude Code, an HTTP server in .mcp.json or ~/.claude.json:",
      ...json({ headersHelper: shell(command(target)) })
    ]
  },
  git: {
    example: "https://github.com",
    member: named,
    isKnown: (targets, target) => findTargetUrl(targets?.git ?? {}, parseTargetUrl(target)) !== undefined,
    lines: ({ command, target }) => {
      const key = (name: string) => quoteWord(`credential.${target}.${name}`)
      const path = parseTargetUrl(target)?.path.length === 0 ? [] : [`git config --global ${key("useHttpPath")} true`]
      return [
        "# The first line drops other helpers for this address:",
        `git config --global ${key("helper")} ''`,
        `git config --global --add ${key("helper")} ${quoteWord(shell(command()))}`,
        ...path
      ]
    }
  },
  openclaw: {
    example: "*",
    member: {},
    isKnown: (targets, target) => targetNamed(targets?.openclaw, target) !== undefined,
    lines: () => [
      "# Write the program that it runs: secrets helper shim openclaw",
      "# ~/.openclaw/openclaw.json, with the path of that program:",
      ...json({
        secrets: {
          providers: {
            agentsecrets: { source: "exec", command: "/home/YOU/.local/lib/agent-secrets/openclaw", timeoutMs: 5000 }
          }
        },
        models: {
          providers: { openai: { apiKey: { source: "exec", provider: "agentsecrets", id: "openai_api_key" } } }
        }
      })
    ]
  },
  aws: {
    example: "deploy",
    member: { access_key_id: "NAME", secret_access_key: "NAME" },
    isKnown: (targets, target) => targetNamed(targets?.aws, target) !== undefined,
    lines: ({ command, target }) => [
      "# ~/.aws/config:",
      `[profile ${target}]`,
      `credential_process = ${shell(command(target))}`
    ]
  },
  docker: {
    example: "ghcr.io",
    member: { secret: "NAME", username: "YOU" },
    isKnown: (targets, target) =>
      Object.keys(targets?.docker ?? {}).some((one) => registryName(one) === registryName(target)),
    lines: ({ target }) => [
      "# Write the program that it runs into a directory of your PATH: secrets helper shim docker --dir ~/.local/bin",
      "# ~/.docker/config.json:",
      ...json({ credHelpers: { [target]: "agent-secrets" } })
    ]
  },
  kubernetes: {
    example: "prod",
    member: named,
    isKnown: (targets, target) => targetNamed(targets?.kubernetes, target) !== undefined,
    lines: ({ command, target }) => {
      const [program = "", ...args] = command(target)
      return [
        "# kubeconfig:",
        "users:",
        `- name: ${JSON.stringify(target)}`,
        "  user:",
        "    exec:",
        "      apiVersion: client.authentication.k8s.io/v1",
        `      command: ${JSON.stringify(program)}`,
        `      args: ${JSON.stringify(args)}`,
        "      interactiveMode: Never",
        "      provideClusterInfo: true"
      ]
    }
  },
  askpass: {
    example: "Enter passphrase for *",
    member: named,
    isKnown: (targets, target) => targetNamed(targets?.askpass, target) !== undefined,
    lines: () => [
      "# Write the program that they run: secrets helper shim askpass",
      "# In the environment, with the path of that program:",
      'export SSH_ASKPASS="$HOME/.local/lib/agent-secrets/askpass" SSH_ASKPASS_REQUIRE=force',
      'export SUDO_ASKPASS="$HOME/.local/lib/agent-secrets/askpass"   # sudo -A',
      'export GIT_ASKPASS="$HOME/.local/lib/agent-secrets/askpass"'
    ]
  },
  terraform: {
    example: "app.terraform.io",
    member: named,
    isKnown: (targets, target) => targetNamed(targets?.terraform, target) !== undefined,
    lines: () => [
      "# Write the program that it runs: secrets helper shim terraform --dir ~/.terraform.d/plugins",
      "# ~/.terraformrc:",
      'credentials_helper "agent-secrets" {',
      "  args = []",
      "}"
    ]
  },
  cargo: {
    example: "https://index.crates.io/",
    member: named,
    isKnown: (targets, target) => targetNamed(targets?.cargo, target) !== undefined,
    lines: () => [
      "# Write the program that it runs: secrets helper shim cargo",
      "# ~/.cargo/config.toml, with the path of that program:",
      "[registry]",
      'global-credential-providers = ["/home/YOU/.local/lib/agent-secrets/cargo-credential-agent-secrets"]'
    ]
  },
  pip: {
    example: "https://pypi.example.com/simple",
    member: { secret: "NAME", username: "YOU" },
    isKnown: (targets, target) => findTargetUrl(targets?.pip ?? {}, parseTargetUrl(target)) !== undefined,
    lines: ({ target }) => {
      const index = target.replace("://", "://YOU@")
      return [
        "# Write the program that it runs, into a directory of its own: secrets helper shim pip",
        "# With that directory first on the PATH:",
        'export PATH="$HOME/.local/lib/agent-secrets/pip:$PATH"',
        "pip config set global.keyring-provider subprocess",
        `pip config set global.index-url ${quoteWord(index)}`
      ]
    }
  }
}
