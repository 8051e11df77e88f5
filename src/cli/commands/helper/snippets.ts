/**
 * What goes into the settings of other programs, for `secrets helper config`: lines to paste or to
 * run, with comments that name the file, and what they need.
 */
import * as path from "node:path"
import { quoteWord } from "../../../domain/shellWord.ts"
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import { findTargetUrl, parseTargetUrl, registryName } from "../../../domain/targetUrl.ts"
import { targetNamed } from "./Protocol.ts"
import type { ProtocolName } from "./protocols.ts"

export interface SnippetContext {
  /** The absolute command line of this program. */
  readonly program: ReadonlyArray<string>
  readonly target: string | undefined
  readonly targets: HelperTargets | undefined
  /** Where the little program of the protocol is, or would be. */
  readonly shim: string
}

/** What goes into the settings, and what it needs. */
export interface HelperSnippet {
  readonly lines: ReadonlyArray<string>
  /** The entry that config.json does not have. */
  readonly entry: string | undefined
  readonly secrets: ReadonlyArray<string>
}

export const snippetOf = (
  protocol: ProtocolName,
  { program, shim, target: given, targets }: SnippetContext
): HelperSnippet => {
  const { example, find, lines, member } = snippets[protocol]
  const target = given ?? example
  const command = (...args: ReadonlyArray<string>) => [...program, "helper", protocol, ...args]
  const found = find?.(targets, target)
  const username: unknown = Reflect.get(Object(found), "username")
  const isMissing = member !== undefined && found === undefined
  return {
    lines: lines({ command, target, shim, username: typeof username === "string" ? username : "YOU" }),
    entry: isMissing ? JSON.stringify({ helpers: { [protocol]: { [target]: member } } }) : undefined,
    secrets: find === undefined ? [given ?? []].flat() : secretsIn(found)
  }
}

/** Where little programs are that are named by their path, below the home directory. */
export const ownPlace = ".local/lib/agent-secrets"

/** Returns where the other program looks for the little program. */
export const placeOf = (protocol: ProtocolName): string | undefined => snippets[protocol].place

interface Snippet {
  /** The target if none is named. */
  readonly example: string
  /** What config.json has for a target; undefined if the protocol has no targets. */
  readonly member?: object
  /** Returns what config.json has for a target. */
  readonly find?: (targets: HelperTargets | undefined, target: string) => object | undefined
  /** Where the little program goes, if the other program runs one. */
  readonly place?: string
  readonly lines: (asked: {
    readonly command: (...args: ReadonlyArray<string>) => ReadonlyArray<string>
    readonly target: string
    readonly shim: string
    readonly username: string
  }) => ReadonlyArray<string>
}

/** The members of targets that name no secret. */
const otherMembers = ["username", "server", "prefix", "ttl"]

const secretsIn = (target: object | undefined): ReadonlyArray<string> =>
  Object.entries(target ?? {}).flatMap(([member, secret]: readonly [string, unknown]) =>
    typeof secret === "string" && !otherMembers.includes(member) ? [secret] : []
  )

const shell = (words: ReadonlyArray<string>): string => words.map(quoteWord).join(" ")
const json = (value: unknown): ReadonlyArray<string> => JSON.stringify(value, undefined, 2).split("\n")
const named = { secret: "NAME" }

const snippets: Readonly<Record<ProtocolName, Snippet>> = {
  print: {
    example: "NAME",
    lines: ({ command, shim, target }) => {
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
        `# pnpm, ~/.npmrc: a path without arguments, which secrets helper shim print ${target} writes:`,
        `# //registry.example.com/:tokenHelper=${shim}`
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
    find: (targets, target) => findTargetUrl(targets?.git ?? {}, parseTargetUrl(target))?.target,
    lines: ({ command, target }) => {
      const key = (name: string) => quoteWord(`credential.${target}.${name}`)
      const withPath =
        parseTargetUrl(target)?.path.length === 0 ? [] : [`git config --global ${key("useHttpPath")} true`]
      return [
        "# The first line drops other helpers for this address:",
        `git config --global ${key("helper")} ''`,
        `git config --global --add ${key("helper")} ${quoteWord(shell(command()))}`,
        ...withPath
      ]
    }
  },
  openclaw: {
    example: "*",
    member: {},
    find: (targets, target) => targetNamed(targets?.openclaw, target),
    place: ownPlace,
    lines: ({ shim }) => [
      "# ~/.openclaw/openclaw.json:",
      ...json({
        secrets: { providers: { agentsecrets: { source: "exec", command: shim, timeoutMs: 5000 } } },
        models: {
          providers: { openai: { apiKey: { source: "exec", provider: "agentsecrets", id: "openai_api_key" } } }
        }
      })
    ]
  },
  aws: {
    example: "deploy",
    member: { access_key_id: "NAME", secret_access_key: "NAME" },
    find: (targets, target) => targetNamed(targets?.aws, target),
    lines: ({ command, target }) => [
      "# ~/.aws/config:",
      `[profile ${target}]`,
      `credential_process = ${shell(command(target))}`
    ]
  },
  docker: {
    example: "ghcr.io",
    member: { secret: "NAME", username: "YOU" },
    find: (targets, target) =>
      Object.entries(targets?.docker ?? {}).find(([one]) => registryName(one) === registryName(target))?.[1],
    place: ".local/bin",
    lines: ({ target }) => [
      "# Docker runs docker-credential-agent-secrets of your PATH.",
      "# ~/.docker/config.json:",
      ...json({ credHelpers: { [target]: "agent-secrets" } })
    ]
  },
  kubernetes: {
    example: "prod",
    member: named,
    find: (targets, target) => targetNamed(targets?.kubernetes, target),
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
    find: (targets, target) => targetNamed(targets?.askpass, target),
    place: ownPlace,
    lines: ({ shim }) => [
      "# In the environment:",
      `export SSH_ASKPASS=${quoteWord(shim)} SSH_ASKPASS_REQUIRE=force`,
      `export SUDO_ASKPASS=${quoteWord(shim)}   # sudo -A`,
      `export GIT_ASKPASS=${quoteWord(shim)}`
    ]
  },
  terraform: {
    example: "app.terraform.io",
    member: named,
    find: (targets, target) => targetNamed(targets?.terraform, target),
    place: ".terraform.d/plugins",
    lines: () => ["# ~/.terraformrc:", 'credentials_helper "agent-secrets" {', "  args = []", "}"]
  },
  cargo: {
    example: "https://index.crates.io/",
    member: named,
    find: (targets, target) => targetNamed(targets?.cargo, target),
    place: ownPlace,
    lines: ({ shim }) => [
      "# ~/.cargo/config.toml:",
      "[registry]",
      `global-credential-providers = [${JSON.stringify(shim)}]`
    ]
  },
  pip: {
    example: "https://pypi.example.com/simple",
    member: { secret: "NAME", username: "YOU" },
    find: (targets, target) => findTargetUrl(targets?.pip ?? {}, parseTargetUrl(target))?.target,
    place: ownPlace,
    lines: ({ shim, target, username }) => {
      const index = target.replace("://", `://${encodeURIComponent(username)}@`)
      return [
        "# The directory of the program comes first on the PATH:",
        `export PATH=${quoteWord(path.dirname(shim))}:"$PATH"`,
        "pip config set global.keyring-provider subprocess",
        `pip config set global.index-url ${quoteWord(index)}`
      ]
    }
  }
}
