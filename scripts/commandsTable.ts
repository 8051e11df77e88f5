/**
 * The table of commands in README.md and the whole of docs/commands.md, made from the
 * definitions of the commands, so that they cannot say anything else.
 */
import { fileURLToPath } from "node:url"
import type { Flags, CommandSpec } from "../src/cli/command/Command.ts"
import { globalFlags, visibleFlags, usageOf } from "../src/cli/command/Command.ts"
import { allSpecs } from "../src/cli/commands.ts"
import { refusals } from "../src/cli/command/problems.ts"
import { errorCodes, type ErrorTag } from "../src/rpc/protocol/errorTags.ts"
import { exitStatuses } from "./exitStatuses.ts"

export const readme = fileURLToPath(new URL("../README.md", import.meta.url))
export const reference = fileURLToPath(new URL("../docs/commands.md", import.meta.url))

const specs = await allSpecs()

const cell = (text: string): string => text.replaceAll("|", "\\|")

const callOf = ({ name, positionals }: CommandSpec<Flags>): string =>
  ["secrets", name, positionals].filter((part) => part !== undefined).join(" ")

export const commandsTable = (): string =>
  [
    "| command | what it does |",
    "|---|---|",
    ...specs.map((spec) => `| \`${cell(callOf(spec))}\` | ${cell(spec.summary)} |`)
  ].join("\n")

const begins = "<!-- commands, made by npm run docs -->"
const ends = "<!-- end of commands -->"

/** The text with the table as it is now; as it is where there is no place for it. */
export const renewed = (text: string): string => {
  const [before = "", rest] = text.split(begins)
  if (rest === undefined) return text
  const [, after = ""] = rest.split(ends)
  return `${before}${begins}\n\n${commandsTable()}\n\n${ends}${after}`
}

const flagRows = (flags: Flags): ReadonlyArray<string> => {
  const shown = visibleFlags(flags)
  if (shown.length === 0) return []
  return [
    "",
    "| flag | what it does |",
    "|---|---|",
    ...shown.map(([name, { short, summary = "", value }]) => {
      const word = `--${name}${value === undefined ? "" : ` ${value}`}`
      return `| \`${word}\`${short === undefined ? "" : `, \`-${short}\``} | ${cell(summary)} |`
    })
  ]
}

export const referenceText = (): string =>
  [
    "# The commands",
    "",
    "Made by `npm run docs` from the definitions in `src/cli`; `secrets COMMAND --help` says the same, and so does",
    "[secrets.1](secrets.1), the manual page (`man -l docs/secrets.1`).",
    "",
    "Standard output gets the result and nothing else. What goes wrong is on standard error in up to three lines: what, why or",
    "where, what to do. With `--json` both are an envelope on standard output.",
    "",
    commandsTable(),
    ...specs.flatMap((spec) => [
      "",
      `## ${spec.name}`,
      "",
      `${spec.summary}.`,
      ...(spec.about ?? "").split("\n\n").flatMap((text) => (text === "" ? [] : ["", text.replaceAll("\n", " ")])),
      "",
      "```sh",
      usageOf(spec),
      "```",
      ...flagRows(spec.flags),
      "",
      "```sh",
      ...spec.examples,
      "```"
    ]),
    "",
    "## Flags of every command",
    "",
    "They stand before or behind the command.",
    ...flagRows(globalFlags),
    "",
    "`--no-update-check`, `--human`, `--output X` and, for `lease`, `--raw` are taken and do nothing: they once had a meaning.",
    "",
    "## Exit status",
    "",
    "| status | meaning |",
    "|---|---|",
    ...exitStatuses.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    "",
    "## Errors",
    "",
    "With `--json`, `error` holds `message`, `code` and `exit_status`. If the daemon refuses, `code` is the tag of its error, which",
    "it also sends as `error.data.tag`:",
    "",
    "| code | JSON-RPC code | exit status | hint |",
    "|---|---|---|---|",
    ...Object.entries(refusals).map(
      ([tag, { exitStatus, fix }]) => `| \`${tag}\` | ${errorCodes[tag as ErrorTag]} | ${exitStatus} | ${cell(fix)} |`
    ),
    "",
    "A problem of the command itself has one of these codes: `misuse`, `data_error`, `io_error`, `timeout`, `protocol_error`,",
    "`daemon_unavailable`, or `generic_error`.",
    ""
  ].join("\n")
