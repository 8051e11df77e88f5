/**
 * Variables as text: a `.env` file, lines for a shell, the file of a GitHub job.
 *
 * A `.env` file has no standard. What is written here is the part that dotenv,
 * `util.parseEnv` of Node and `set -a; . FILE` of a shell read as the same value,
 * several lines included; a value that has no such form is refused, for a file that
 * one reader takes for something else hands out a wrong credential, or runs it.
 * Docker's --env-file takes quotes for part of the value, so it reads only what
 * needs none.
 */
import type { Timestamp } from "./Timestamp.ts"

export interface EnvVariable {
  readonly name: string
  readonly value: string
}

export interface EnvFileHeader {
  /** When the first of its leases ends. */
  readonly until: Timestamp
  readonly source: "store" | "vercel"
}

/** The predecessor's three lines, which its `cleanup` reads as well. */
export const renderEnvHeader = ({ source, until }: EnvFileHeader): string =>
  `# secrets-managed: true\n# secrets-ttl: ${until.text}\n# secrets-source: ${source}\n`

/**
 * What the comments before the first variable of a file say: undefined if not that it is ours, or also that it is not;
 * otherwise until when it is good, as often as that stands there.
 */
export const parseEnvHeader = (text: string): { readonly until: ReadonlyArray<string> } | undefined => {
  const lines = text.split("\n")
  const end = lines.findIndex((line) => line.trim() !== "" && !line.startsWith("#"))
  const said = (end === -1 ? lines : lines.slice(0, end)).map((line) => /^#\s*([\w-]+):\s*(.*?)\s*$/.exec(line))
  const valuesOf = (name: string) => said.flatMap((match) => (match?.[1] === name ? [match[2] ?? ""] : []))
  const marks = valuesOf("secrets-managed")
  return marks.length > 0 && marks.every((mark) => mark === "true") ? { until: valuesOf("secrets-ttl") } : undefined
}

/** Why a value cannot be in a `.env` file; undefined if it can. */
export const unsafeForDotenv = (value: string): string | undefined => {
  if (value.includes("\0")) return "it holds a NUL byte"
  if (isPlain(value)) return undefined
  if (value.includes("\r")) return "it holds a carriage return, which the readers of such files change or drop"
  if (value.endsWith("\\")) return "it ends with a backslash, which some readers take for an escape"
  return value.includes("'") && /["$`\\]/.test(value)
    ? 'it holds an apostrophe and one of " $ ` \\, which no quotes can hold for all readers'
    : undefined
}

/**
 * Whether a reader that puts variables in for `$NAME` takes the value for another, for which there is no remedy in the
 * file: what one of them wants escaped the others give with the escape. These are dotenv-expand (Next.js, Vite) and, for
 * `${NAME}`, python-dotenv.
 */
export const mayBeExpanded = (value: string): boolean => /\$[A-Za-z0-9_{]/.test(value)

/** Lines of a `.env` file. */
export const dotenvLines = (variables: ReadonlyArray<EnvVariable>): string =>
  variables
    .map(({ name, value }) => {
      if (isPlain(value)) return `${name}=${value}\n`
      return value.includes("'") ? `${name}="${value}"\n` : `${name}='${value}'\n`
    })
    .join("")

/** Read the same without quotes, by all of them; zsh takes `=name` for the path of a program. */
const isPlain = (value: string): boolean => /^[A-Za-z0-9_./:@%+,=-]*$/.test(value) && !/(^|:)=/.test(value)

/** Lines for `eval` and `.` of any shell of the Bourne family. */
export const shellLines = (variables: ReadonlyArray<EnvVariable>): string =>
  variables.map(({ name, value }) => `export ${name}=${shellQuoted(value)}\n`).join("")

const shellQuoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`

/** What is appended to $GITHUB_ENV. The delimiter must be unguessable, or a value could end itself and set others. */
export const githubLines = (variables: ReadonlyArray<EnvVariable>, delimiter: string): string =>
  variables.map(({ name, value }) => `${name}<<${delimiter}\n${value}\n${delimiter}\n`).join("")

/** What has the log of a GitHub job hide the values: a mask holds for one line. */
export const githubMasks = (variables: ReadonlyArray<EnvVariable>): string => {
  const lines = new Set(variables.flatMap(({ value }) => value.split(/\r\n|\r|\n/)).filter((line) => line !== ""))
  return [...lines].map((line) => `::add-mask::${line.replaceAll("%", "%25")}\n`).join("")
}
