/**
 * The little program that other programs find by its name or path: a regular file, since some refuse
 * links, which runs `secrets helper` by absolute paths, without a PATH and without HOME.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { quoteWord } from "../../../domain/shellWord.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { homeDirectory } from "../../command/settingsFile.ts"
import { reasonOf } from "../../command/Output.ts"
import type { HelperArgs } from "./helperSpec.ts"
import { type ProtocolName, protocols } from "./protocols.ts"
import { ownPlace } from "./snippets.ts"

/** The names by which other programs look for theirs. */
const fileNames: Partial<Record<ProtocolName, string>> = {
  git: "git-credential-agent-secrets",
  docker: "docker-credential-agent-secrets",
  terraform: "terraform-credentials-agent-secrets",
  cargo: "cargo-credential-agent-secrets",
  // In a directory of its own, because the name is that of another program.
  pip: "pip/keyring"
}

const mark = "# Written by secrets helper shim."

/** Writes it and returns where it is; `command` is the command line of this program. */
export const writeShim = Effect.fnUntraced(function* (
  args: HelperArgs,
  protocol: ProtocolName,
  words: ReadonlyArray<string>,
  command: ReadonlyArray<string>
) {
  const { takesName } = yield* Effect.promise(protocols[protocol])
  if (takesName && words.length + args.options("name").length !== 1)
    return yield* failUsage(
      `${protocol} takes the name of one secret`,
      `For example: secrets helper shim ${protocol} api_key`
    )
  const { file, home } = yield* shimOf(args, protocol, [...words, ...args.options("name")])
  const line = [...command, "helper", protocol, ...flagsOf(args), ...words].map(quoteWord).join(" ")
  const text = [
    "#!/bin/sh",
    mark,
    `[ -n "\${HOME-}" ] || export HOME=${quoteWord(home)}`,
    `exec ${line} -- "$@"`,
    ""
  ].join("\n")
  const problem = yield* Effect.sync(() => replace(file, text))
  if (problem !== undefined) return yield* new CommandError(problem)
  const directory = args.option("dir")
  const next = [
    "secrets",
    "helper",
    "config",
    protocol,
    ...(takesName ? [...words, ...args.options("name")] : []),
    ...(directory === undefined ? [] : ["--dir", path.resolve(directory)])
  ]
  return {
    lines: [`wrote ${escapeValue(file)}`, `next: ${next.map(quoteWord).join(" ")}`],
    result: { protocol, file }
  }
})

/** Returns where the program of a protocol is, and the home directory; without --dir, it is in a place below that. */
export const shimOf = Effect.fnUntraced(function* (
  args: HelperArgs,
  protocol: ProtocolName,
  words: ReadonlyArray<string>,
  place: string = ownPlace
) {
  const home = homeDirectory()
  if (typeof home !== "string") return yield* new CommandError(home)
  const directory = path.resolve(args.option("dir") ?? path.join(home, place))
  return { file: path.join(directory, fileNameOf(protocol, words)), home }
})

/** Returns the name that the protocol prescribes, or one of the protocol and what it is for. */
const fileNameOf = (protocol: ProtocolName, words: ReadonlyArray<string>): string =>
  fileNames[protocol] ?? [protocol, ...words].join("-").replaceAll(/[^A-Za-z0-9._-]/g, "_")

/** Repeats the flags of the command line, with absolute paths. */
const flagsOf = (args: HelperArgs): ReadonlyArray<string> => [
  ...(["name", "username", "ttl", "client-id", "reason"] as const).flatMap((flag) =>
    flagWith(flag, args.options(flag).at(-1))
  ),
  ...flagWith("timeout", args.option("timeout")),
  ...(["config", "socket"] as const).flatMap((flag) => {
    const given = args.option(flag)
    return flagWith(flag, given === undefined ? undefined : path.resolve(given))
  }),
  ...(args.flag("raw") ? ["--raw"] : [])
]

const flagWith = (flag: string, value: string | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : [`--${flag}=${value}`]

/** Replaces a file of ours, or makes it; returns why not. */
const replace = (file: string, text: string) => {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    const stat = fs.lstatSync(file, { throwIfNoEntry: false })
    if (stat !== undefined && !(stat.isFile() && fs.readFileSync(file, "utf8").includes(mark))) {
      const fix = "Name another directory with --dir, or move the file away"
      return {
        message: `${escapeValue(file)} was not written by secrets`,
        fix,
        code: "misuse",
        exitStatus: exitStatus.failed
      }
    }
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(temporary, text, { flag: "wx", mode: 0o755 })
    // Under any umask.
    fs.chmodSync(temporary, 0o755)
    fs.renameSync(temporary, file)
    return undefined
  } catch (cause) {
    fs.rmSync(temporary, { force: true })
    const message = `cannot write ${escapeValue(file)} (${reasonOf(cause)})`
    return { message, fix: "Name another directory with --dir", code: "io_error", exitStatus: exitStatus.failed }
  }
}
