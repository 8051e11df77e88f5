/**
 * The manual page docs/secrets.1, in mdoc, made from the definitions of the commands.
 */
import { fileURLToPath } from "node:url"
import type { Flag, Flags, CommandSpec } from "../src/cli/command/Command.ts"
import { globalFlags, visibleFlags } from "../src/cli/command/Command.ts"
import { allSpecs } from "../src/cli/commands.ts"
import { exitStatuses } from "./exitStatuses.ts"

export const manualPage = fileURLToPath(new URL("../docs/secrets.1", import.meta.url))

/** Of the page, not of the day it is made: it must not change by itself. */
const date = "November 24, 2026"

const files: ReadonlyArray<readonly [string, string]> = [
  ["~/.agent-secrets/config.json", "settings of the daemon and of the command"],
  ["~/.agent-secrets/agent-secrets.sock", "the daemon's socket"],
  ["~/.agent-secrets/identity.age", "the key; keep a copy of it somewhere safe"],
  ["~/.agent-secrets/secrets.age", "the secrets, encrypted"],
  ["~/.agent-secrets/audit.log", "what happened, one JSON object a line"]
]

const environment: ReadonlyArray<readonly [string, string]> = [
  ["HOME", "where .agent-secrets is"],
  ["NO_COLOR", "if it is set to anything, nothing is coloured"]
]

/** Text in which nothing is taken for a request, an escape or a macro; old formatters know ASCII alone. */
const plain = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replace(/^([.'])/, "\\&$1")
    .replace(/[^\p{ASCII}]/gu, (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`)

/** Paragraphs as mdoc wants them: each sentence on a line of its own. */
const paragraphs = (text: string): ReadonlyArray<string> =>
  text.split("\n\n").flatMap((paragraph) => [
    ".Pp",
    ...paragraph
      .replaceAll("\n", " ")
      .split(/(?<=[.!]) (?=[A-Z])/)
      .map(plain)
  ])

/** The same where macros are looked for, as an argument of one. */
const argument = (text: string): string => `"${plain(text).replaceAll('"', '""')}"`

const flagLine = ([name, { short, value }]: readonly [string, Flag]): string =>
  [
    ".It",
    ...(short === undefined ? [] : [`Fl ${short} ,`]),
    `Fl -${name}`,
    ...(value === undefined ? [] : [`Ar ${argument(value)}`])
  ].join(" ")

const listOf = (flags: Flags): ReadonlyArray<string> => {
  const shown = visibleFlags(flags)
  if (shown.length === 0) return []
  return [
    ".Bl -tag -width Ds",
    ...shown.flatMap((flag) => [flagLine(flag), `${plain(sentence(flag[1].summary ?? ""))}`]),
    ".El"
  ]
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

const commandOf = ({
  about,
  examples,
  flags,
  name,
  positionals,
  summary
}: CommandSpec<Flags>): ReadonlyArray<string> => [
  `.Ss ${argument(["secrets", name, positionals].filter((part) => part !== undefined).join(" "))}`,
  plain(`${summary}.`),
  ...(about === undefined ? [] : paragraphs(about)),
  ...listOf(flags),
  ".Bd -literal -offset indent",
  ...examples.map((example) => plain(example).replaceAll("-", "\\-")),
  ".Ed"
]

const pairs = (macro: string, rows: ReadonlyArray<readonly [string | number, string]>): ReadonlyArray<string> => [
  ".Bl -tag -width Ds",
  ...rows.flatMap(([left, right]) => [`.It ${macro}${left}`, plain(sentence(right))]),
  ".El"
]

export const manualText = async (): Promise<string> => {
  const specs = await allSpecs()
  return [
    '.\\" Made by npm run docs from the definitions in src/cli.',
    `.Dd ${date}`,
    ".Dt SECRETS 1",
    ".Os",
    ".Sh NAME",
    ".Nm secrets",
    ".Nd keep secrets encrypted and lease them to agents and workers",
    ".Sh SYNOPSIS",
    ".Nm",
    ".Ar command",
    ".Op Ar flags",
    ".Sh DESCRIPTION",
    "A daemon keeps secrets in an age-encrypted file and leases them, one at a time and for a time.",
    ".Nm",
    "asks it over a Unix socket.",
    "Standard output gets the result and nothing else.",
    "What goes wrong is on standard error: what, why or where, and what to do.",
    "With",
    ".Fl -json",
    "both are an envelope on standard output.",
    ".Pp",
    "Flags of every command, before or behind its name:",
    ...listOf(globalFlags),
    ".Sh COMMANDS",
    ...specs.flatMap(commandOf),
    ".Sh ENVIRONMENT",
    ...pairs("Ev ", environment),
    ".Sh FILES",
    ...pairs("Pa ", files),
    ".Sh EXIT STATUS",
    ...pairs("", exitStatuses),
    ".Sh SEE ALSO",
    ".Xr age 1",
    ""
  ].join("\n")
}
