/**
 * A strict parser for dotenv files: it returns each value whole, or an error for its line.
 *
 * Node's own parser skips invalid lines and cuts a value at `#`, which
 * would store a truncated credential. Single quotes keep everything; double quotes
 * support the escapes `\n \r \t \" \\ \$`; both may span lines. A `#` after a blank begins
 * a comment. `$NAME` is not expanded. Errors never quote a line.
 */
export interface DotenvEntry {
  readonly name: string
  readonly value: string
}

export interface DotenvError {
  readonly line: number
  /** Undefined for a line without one. */
  readonly name?: string
  readonly reason: string
}

export interface DotenvFile {
  /** In file order. */
  readonly entries: ReadonlyArray<DotenvEntry>
  readonly errors: ReadonlyArray<DotenvError>
}

/** Returns every entry and every error; after an error it continues with the next line. */
export const parseDotenv = (text: string): DotenvFile => {
  const entries = new Map<string, string>()
  const errors: Array<DotenvError> = []
  const whole = text.replaceAll(/\r\n|\r$/g, "\n").replace(/^\uFEFF/, "")
  const lone = whole.indexOf("\r")
  if (lone >= 0) return { entries: [], errors: [{ line: whole.slice(0, lone).split("\n").length, reason: loneReturn }] }
  let [at, counted, line] = [0, 0, 1]
  const fail = (error: Omit<DotenvError, "line">, resumeAt = nextLine(whole, at)) => {
    line += whole.slice(counted, at).split("\n").length - 1
    counted = at
    errors.push({ line, ...error })
    at = resumeAt
  }
  while (at < whole.length) {
    const nothing = match(/[ \t]*(#[^\n]*)?(\n|$)/y, whole, at)
    if (nothing !== undefined) {
      at += Math.max(1, nothing[0].length)
      continue
    }
    const [beginning, name = ""] =
      match(/[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y, whole, at) ?? []
    if (beginning === undefined) {
      fail({ reason: "expected NAME=VALUE" })
      continue
    }
    const value = valueAt(whole, at + beginning.length)
    if ("reason" in value) fail({ name, reason: `the value of ${name} ${value.reason}` })
    else if (entries.has(name)) fail({ name, reason: `${name} is defined twice` }, value.end)
    else {
      entries.set(name, value.text)
      at = value.end
    }
  }
  return { entries: [...entries].map(([name, value]) => ({ name, value })), errors }
}

/** In a file of an old editor it would end a line, and in a value it is most often a mistake. */
const loneReturn = String.raw`a carriage return without a line feed; in double quotes it is written \r`

const nextLine = (whole: string, at: number): number => {
  const end = whole.indexOf("\n", at)
  return end < 0 ? whole.length : end + 1
}

/** Reads the value at an offset; `end` is the start of the next line. */
const valueAt = (whole: string, at: number): { text: string; end: number } | { reason: string } => {
  const quoted = match(/'([^']*)'|"((?:[^"\\]|\\[^])*)"/y, whole, at)
  if (quoted === undefined) {
    const [bare = ""] = match(/[^\n]*/y, whole, at) ?? []
    // A comment for some readers, and a value for others. With a blank after it, all who write it mean a comment.
    if (/^#\S/.test(bare) && whole[at - 1] === "=")
      return { reason: "begins with #; put it in single quotes, or a blank before a comment" }
    if (/^["'`]/.test(bare)) return { reason: bare.startsWith("`") ? "has backquotes" : "has an unterminated quote" }
    const text = bare.replace(/(^|[ \t])#.*$/, "").trim()
    if (/["'`\\]|\$[({A-Za-z_]/.test(text))
      return { reason: "has characters that a shell would expand; put it in single quotes" }
    return { text, end: at + bare.length + 1 }
  }
  const [all, single, double = ""] = quoted
  const rest = match(/[ \t]*(?:[ \t]#[^\n]*)?(?:\n|$)/y, whole, at + all.length)
  if (rest === undefined) return { reason: "continues after its closing quote" }
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
