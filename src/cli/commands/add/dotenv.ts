/**
 * A dotenv file, read strictly: every value comes out whole, or the line is refused.
 *
 * Node's own parser, like those it follows, drops what it does not understand and cuts
 * a value at a `#`; a credential would be stored short, and nobody would know.
 * Single quotes keep everything, double quotes know `\n \r \t \" \\ \$`, both go over
 * lines, and a `#` behind a blank begins a comment. Nothing is put in for `$NAME`. No
 * complaint quotes a line: there is a value in it.
 */
import * as Result from "effect/Result"

export interface DotenvEntry {
  readonly name: string
  readonly value: string
}

/** What is wrong, and in which line. */
export interface DotenvError {
  readonly line: number
  readonly reason: string
}

/** The entries in the order of the file. */
export const parseDotenv = (text: string): Result.Result<ReadonlyArray<DotenvEntry>, DotenvError> => {
  const entries = new Map<string, string>()
  const whole = text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, "")
  let at = 0
  const wrong = (reason: string) => Result.fail({ line: whole.slice(0, at).split("\n").length, reason })
  while (at < whole.length) {
    const nothing = match(/[ \t]*(#[^\n]*)?(\n|$)/y, whole, at)
    if (nothing !== undefined) {
      at += Math.max(1, nothing[0].length)
      continue
    }
    const [beginning, name = ""] =
      match(/[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y, whole, at) ?? []
    if (beginning === undefined) return wrong("there is no NAME=VALUE in it")
    if (entries.has(name)) return wrong(`${name} stands in the file twice`)
    const value = valueAt(whole, at + beginning.length)
    if ("reason" in value) return wrong(`the value of ${name} ${value.reason}`)
    entries.set(name, value.text)
    at = value.end
  }
  return Result.succeed([...entries].map(([name, value]) => ({ name, value })))
}

/** The value that begins there, and where its line ends. */
const valueAt = (whole: string, at: number): { text: string; end: number } | { reason: string } => {
  const quoted = match(/'([^']*)'|"((?:[^"\\]|\\[^])*)"/y, whole, at)
  if (quoted === undefined) {
    const [bare = ""] = match(/[^\n]*/y, whole, at) ?? []
    if (/^["'`]/.test(bare))
      return { reason: bare.startsWith("`") ? "has backquotes" : "has a quote that does not end" }
    const text = bare.replace(/(^|[ \t])#.*$/, "").trim()
    if (/["'`\\]|\$[({A-Za-z_]/.test(text))
      return { reason: "has characters that a shell would act on; put it in single quotes" }
    return { text, end: at + bare.length + 1 }
  }
  const [all, single, double = ""] = quoted
  const rest = match(/[ \t]*(?:[ \t]#[^\n]*)?(?:\n|$)/y, whole, at + all.length)
  if (rest === undefined) return { reason: "goes on behind its closing quote" }
  return {
    text: single ?? double.replace(/\\([nrt"\\$])/g, (_, letter: string) => unescaped.get(letter) ?? letter),
    end: at + all.length + rest[0].length
  }
}

const unescaped: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"]
])

const match = (sticky: RegExp, text: string, at: number): RegExpExecArray | undefined => {
  sticky.lastIndex = at
  return sticky.exec(text) ?? undefined
}
