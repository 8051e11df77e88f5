/**
 * The command lines in the docs: fenced blocks of shell, and the calls of `secrets` in them.
 *
 * A block after `<!-- not run: REASON -->` is only parsed, because it needs what a test has not.
 */
import * as fs from "node:fs"
import * as path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

/** Every page that a person reads, and the skill. */
export const pages: ReadonlyArray<string> = [
  "README.md",
  "SECURITY.md",
  ...["docs", "launchd", "systemd", "skills/agent-secrets"].flatMap((directory) =>
    fs
      .readdirSync(path.join(root, directory))
      // commands.md is made from the specs, and has their usage.
      .filter((name) => name.endsWith(".md") && name !== "commands.md")
      .map((name) => `${directory}/${name}`)
  )
]

/** The pages whose blocks test/e2e/docs.test.ts runs, with the secrets and files that each takes for given. */
export const runPages: Readonly<
  Record<string, { readonly secrets?: ReadonlyArray<string>; readonly files?: ReadonlyArray<string> }>
> = {
  "README.md": {},
  "docs/approval.md": {},
  "docs/exposure.md": {},
  "docs/runs.md": {},
  "docs/first-project.md": { files: ["key.pem", ".env"] },
  "docs/agents.md": { secrets: ["github_token"] },
  "docs/helpers.md": { secrets: ["ghcr_token", "aws_key_id", "aws_key", "k8s_token", "ssh_passphrase"] },
  "docs/ci.md": {},
  "docs/cron.md": { secrets: ["backup_key"] },
  "docs/show.md": {},
  "docs/backup.md": { secrets: ["github_token"] },
  "skills/agent-secrets/SKILL.md": { secrets: ["github_token", "registry_password", "db_password"], files: ["key.pem"] }
}

/** The pages whose blocks another test runs, with what it sets up for them. */
export const runElsewhere: ReadonlyArray<string> = ["docs/proxy.md"]

export interface Block {
  readonly language: string
  readonly text: string
  /** Why no test runs it. */
  readonly notRun: string | undefined
}

/** Returns the fenced blocks of a page. */
export const blocksOf = (page: string): ReadonlyArray<Block> =>
  [
    ...fs
      .readFileSync(path.join(root, page), "utf8")
      .matchAll(/(?:^<!-- not run: ([^\n]*) -->\n+)?^```(\w*)\n(.*?)^```$/gms)
  ].map(([, notRun, language = "", text = ""]) => ({ language, text, notRun }))

/** Returns what is typed: the lines of shell, and in `console` those after a `$`. */
export const typedIn = ({ language, text }: Block): string => {
  if (/^(sh|bash|zsh|fish)$/.test(language)) return text
  if (language !== "console") return ""
  return text
    .split("\n")
    .flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : []))
    .join("\n")
}

/** Returns the words of every call of `secrets` in a text of shell, without redirections. */
export const callsIn = (shell: string): ReadonlyArray<ReadonlyArray<string>> =>
  shell
    .replaceAll("\\\n", " ")
    .split("\n")
    .flatMap((line) => commandsOf(wordsOf(line)))
    .flatMap((words) => {
      const at = words.findIndex((word) => /^(bin\/|~\/\.local\/bin\/)?secrets$/.test(word))
      const isCalled = at >= 0 && words.slice(0, at).every((word) => before.test(word))
      return isCalled ? [words.slice(at + 1)] : []
    })

/** What may stand before a command, besides assignments. */
const before = /^(sudo|env|exec|if|then|until|while|!|-\w+|[\w-]*=.*|agent|agent-secrets|you)$/

type Word = { readonly text: string; readonly quoted: boolean }

const separators = /^(&&|\|\||[|;&()]|;;)$/

/** Splits words at separators, and drops redirections. */
const commandsOf = (words: ReadonlyArray<Word>): ReadonlyArray<ReadonlyArray<string>> => {
  const commands: Array<Array<string>> = [[]]
  for (let at = 0; at < words.length; at += 1) {
    const { quoted, text } = words[at] ?? { text: "", quoted: false }
    if (!quoted && separators.test(text)) commands.push([])
    else if (!quoted && /^\d*(>>?|<)(&\d)?$/.test(text)) at += text.includes("&") ? 0 : 1
    else commands.at(-1)?.push(text)
  }
  return commands.filter((command) => command.length > 0)
}

const wordsOf = (line: string): ReadonlyArray<Word> => {
  const word =
    /(?<=^|\s)#.*$|\$\(|`|\d*>>?(?:&\d)?|<(?!<)|&&|\|\||[|;&()]|((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'|;&()<>`])+)/g
  return [...line.matchAll(word)].flatMap(([all, plain]) => {
    if (all.startsWith("#")) return []
    if (plain === undefined) return [{ text: all === "$(" || all === "`" ? "(" : all, quoted: false }]
    return [
      {
        text: plain.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, "$1$2$3"),
        quoted: plain.includes('"') || plain.includes("'")
      }
    ]
  })
}
