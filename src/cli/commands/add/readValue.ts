/**
 * The value that `add` and `update` take: from --value, --file, a pipe or a prompt.
 *
 * A file is kept byte for byte, a pipe as `pipedValue` describes; a terminal gives one line,
 * which is not echoed. The prompt goes to standard error, and so does a warning of white space.
 */
import * as Effect from "effect/Effect"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { pipedValue } from "../../../domain/pipedValue.ts"
import type { Args, Flags } from "../../command/Command.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { printNotice, reasonOf } from "../../command/Output.ts"
import { readPath, readToEnd } from "../../../process/standardInput.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { type Dialogue, promptLine } from "../../terminal/promptLine.ts"

export const secretFlags = {
  value: { type: "string", value: "VALUE", summary: "the value; other users can see it in the process list" },
  file: { type: "string", value: "PATH", summary: "read the value from this file", completes: "file" },
  "rotate-via": { type: "string", value: "COMMAND", summary: "set the command that rotates the secret" },
  "rotate-stdout": { type: "boolean", summary: "store the rotation command's output as the new value" },
  description: { type: "string", value: "TEXT", summary: "what it is for; everyone who may list it sees this" },
  "proxy-only": {
    type: "boolean",
    summary: "nobody gets the value: only the proxy may use it, and nothing undoes that"
  }
} as const satisfies Flags

/** The paragraph of the help about values. */
export const aboutValues = [
  "Reads the value from a pipe, or asks for it without echo. From a pipe a single line is stored without its line end,",
  "and several lines are stored whole, as a key needs it. --file stores a file byte for byte."
].join("\n")

type SecretArgs = Pick<Args<typeof secretFlags>, "option" | "flag">

/** Rejects `--rotate-stdout` without a command. Runs before the prompt. */
export const checkRotationFlags = (args: SecretArgs) =>
  args.flag("rotate-stdout") && !args.option("rotate-via")
    ? Effect.fail(failUsage("--rotate-stdout requires --rotate-via", "Add --rotate-via COMMAND"))
    : Effect.void

/** Returns the value from the first source that is given; never an empty one. */
export const valueFromArgs = Effect.fnUntraced(function* (args: SecretArgs, name: string) {
  const [given, file] = [args.option("value"), args.option("file")]
  if (given !== undefined && file !== undefined) {
    return yield* failUsage("--value and --file exclude each other", "Use one of them")
  }
  const value = given ?? (yield* file === undefined ? readValue(name) : readText(file))
  if (value === "") return yield* failUsage("the value of a secret cannot be empty", whereEmpty(args))
  warnOfEdges(value)
  return value
})

const whereEmpty = (args: SecretArgs): string => {
  if (args.option("value") !== undefined) return "Leave --value out: the value is then asked for"
  if (args.option("file") !== undefined) return "Name a file that is not empty"
  return asksForValue(args)
    ? "Run it again and type the value"
    : "Check what writes to standard input: it wrote nothing"
}

const warnOfEdges = (value: string): void => {
  const edges = describeEdges(value)
  if (edges !== undefined) printNotice(`secrets: warning: the value ${edges}, which is a part of it`)
}

/** Returns whether `valueFromArgs` asks a person. */
export const asksForValue = (args: SecretArgs): boolean =>
  args.option("value") === undefined && args.option("file") === undefined && process.stdin.isTTY

/** Returns the value if one is given or arrives in a pipe; undefined if it stays. It asks for none. */
export const newValueFromArgs = Effect.fnUntraced(function* (args: SecretArgs, name: string) {
  const isGiven = args.option("value") !== undefined || args.option("file") !== undefined
  if (isGiven) return yield* valueFromArgs(args, name)
  const stdio = processStdio()
  const piped = stdio.input.isTTY === true ? "" : yield* readAll(stdio)
  if (piped === "") return undefined
  warnOfEdges(piped)
  return piped
})

/** Describes white space at the ends of a value, which most often is a mistake; undefined without any. */
export const describeEdges = (value: string): string | undefined => {
  // A text of several lines usually ends with a line feed.
  const end = value.slice(0, -1).includes("\n") ? value.replace(/\r?\n$/, "") : value
  const first = new RegExp(`^${unseen}`).exec(value)?.[0]
  const last = new RegExp(`${unseen}$`).exec(end)?.[0]
  const edges = [
    first === undefined ? [] : [`begins with ${nameOf(first)}`],
    last === undefined ? [] : [`ends with ${nameOf(last)}`]
  ].flat()
  return edges.length === 0 ? undefined : edges.join(" and ")
}

/** White space, or what comes along from a web page and is not seen. */
const unseen = String.raw`[\s\u00ad\u200b-\u200f\u2060]`

const nameOf = (character: string): string =>
  spaceNames.get(character) ?? (/\s/.test(character) ? "white space" : "an invisible character")
const spaceNames: ReadonlyMap<string, string> = new Map([
  [" ", "a space"],
  ["\t", "a tab"],
  ["\n", "a line feed"],
  ["\r", "a carriage return"],
  ["\ufeff", "a byte order mark"]
])

/** Where the value is read from and where the prompt is written. */
export interface ValueInput {
  readonly input: Dialogue["input"] & { readonly isTTY?: boolean }
  readonly prompt: NodeJS.WritableStream
}

const processStdio = (): ValueInput => ({ input: process.stdin, prompt: process.stderr })

export const readValue = (name: string, stdio: ValueInput = processStdio()): Effect.Effect<string, CommandError> =>
  Effect.suspend(() =>
    stdio.input.isTTY === true ? promptFor(`Value of '${escapeValue(name)}'`, stdio) : readAll(stdio)
  )

const readAll = ({ input }: ValueInput): Effect.Effect<string, CommandError> =>
  readToEnd(input).pipe(
    Effect.mapError((error) =>
      unusable(`cannot read standard input: ${reasonOf(error)}`, "Redirect it: secrets add NAME < FILE")
    ),
    Effect.flatMap((bytes) => decode(bytes, "the value", encodeBinary)),
    Effect.map(pipedValue)
  )

const encodeBinary = "Encode binary values: base64 < FILE | secrets add NAME"

const decode = (bytes: Uint8Array, what: string, fix: string): Effect.Effect<string, CommandError> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () =>
      bytes.includes(0) && /^(?:\xff\xfe|\xfe\xff)/.test(Buffer.from(bytes.subarray(0, 2)).toString("latin1"))
        ? unusable(`${what} is UTF-16 or UTF-32, not UTF-8`, "Convert it first: iconv -f UTF-16 -t UTF-8 FILE")
        : unusable(`${what} is not UTF-8 text`, fix)
  })

/** Reads a whole file; `fix` is the hint for one that is not UTF-8. `-` is a file name; standard input is read when no file is named. */
export const readText = (file: string, fix = encodeBinary): Effect.Effect<string, CommandError> =>
  readPath(file).pipe(
    Effect.mapError(
      (error) =>
        new CommandError({
          message: `cannot read ${escapeValue(file)}: ${fileErrorText(error)}`,
          code: "io_error",
          fix: unreadableHint(file, reasonOf(error)),
          exitStatus: exitStatus.failed
        })
    ),
    Effect.flatMap((bytes) => decode(bytes, escapeValue(file), fix))
  )

const unreadableHint = (file: string, code: string): string =>
  file === "-"
    ? "For standard input name /dev/stdin. Nothing was changed"
    : `${code === "EISDIR" ? "It is a directory: name a file" : "Name a readable file"}. Nothing was changed`

/** Asks on the terminal for a text that is not shown. */
export const promptHidden = (label: string): Effect.Effect<string, CommandError> => promptFor(label, processStdio())

/** Reads one line without echo. Ctrl-C and end of input cancel. */
const promptFor = (label: string, { input, prompt }: ValueInput): Effect.Effect<string, CommandError> =>
  Effect.flatMap(promptLine(`${label} (not shown): `, { input, output: prompt }), ([line, ...more]) => {
    if (line === undefined) return cancelled
    // The terminal's decoder puts this in place of bytes that are not UTF-8.
    if (line.includes("\uFFFD")) return notUtf8
    return more.length === 0 ? Effect.succeed(line) : severalLines
  })

const cancelled = new CommandError({
  message: "cancelled: no value was entered",
  code: "misuse",
  fix: "Run it again. Nothing was changed",
  exitStatus: exitStatus.interrupted
})

const notUtf8 = new CommandError({
  message: "what was typed is not UTF-8 text",
  code: "data_error",
  fix: "Set the terminal to UTF-8. Nothing was changed",
  exitStatus: exitStatus.failed
})

const severalLines = new CommandError({
  message: "a prompt takes one line, and more were entered",
  code: "misuse",
  fix: "Read a value of several lines from a file: secrets add NAME < FILE",
  exitStatus: exitStatus.usage
})

const unusable = (message: string, fix: string): CommandError =>
  new CommandError({ message, code: "data_error", fix, exitStatus: exitStatus.usage })
