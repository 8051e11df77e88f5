/**
 * Formats environment variables: a `.env` file, lines for a shell, `$GITHUB_ENV`. `.env` has
 * no standard. Only values are written that dotenv, Node's `util.parseEnv` and `set -a; .
 * FILE` of a shell all read alike; others are rejected, because a reader would get a wrong
 * credential or execute a part of it. Docker's --env-file keeps quotes as a part of the
 * value, so it reads only values that need none.
 */
import { isSteering } from "./steeringVariables.ts"
import type { Timestamp } from "./Timestamp.ts"

export interface EnvVariable {
  readonly name: string
  readonly value: string
}

export interface EnvFileHeader {
  /** When its first lease expires. */
  readonly until: Timestamp
  readonly source: "store" | "vercel"
}

/** Formats the predecessor's header, which its `cleanup` reads. */
export const renderEnvHeader = ({ source, until }: EnvFileHeader): string =>
  `# secrets-managed: true\n# secrets-ttl: ${until.text}\n# secrets-source: ${source}\n`

/** Puts the header below a byte order mark and the line that names an interpreter, which have to be first. */
export const withEnvHeader = (text: string, header: EnvFileHeader): string => {
  const [first = ""] = /^\ufeff?(?:#![^\n]*\n)?/.exec(text) ?? []
  return first + renderEnvHeader(header) + text.slice(first.length)
}

/**
 * Parses the comments before the first variable: every expiry found there, or undefined if the file is not marked as
 * managed, or is marked ambiguously.
 */
export const parseEnvHeader = (text: string): { readonly until: ReadonlyArray<string> } | undefined => {
  const lines = text.replace(/^\ufeff/, "").split("\n")
  const end = lines.findIndex((line) => line.trim() !== "" && !line.startsWith("#"))
  const comments = (end === -1 ? lines : lines.slice(0, end)).map((line) => /^#\s*([\w-]+):\s*(.*?)\s*$/.exec(line))
  const valuesOf = (name: string) => comments.flatMap((match) => (match?.[1] === name ? [match[2] ?? ""] : []))
  const marks = valuesOf("secrets-managed")
  return marks.length > 0 && marks.every((mark) => mark === "true") ? { until: valuesOf("secrets-ttl") } : undefined
}

/** Returns whether the format of a file, by its name, has comments that begin with `#`, so that the header can be in it. */
export const hasHashComments = (name: string): boolean =>
  /^\.env(?:[._-].*)?$|^\..*rc$|\.(?:env|ya?ml|toml|conf|cfg|ini|properties|sh|tf|tfvars|hcl)$/.test(name)

/** Returns why a value cannot be in a `.env` file; undefined if it can. */
export const unsafeForDotenv = (value: string): string | undefined => {
  if (value.includes("\0")) return "it holds a NUL byte"
  if (needsNoQuotes(value)) return undefined
  if (value.includes("\r")) return "it holds a carriage return, which readers of .env files change or drop"
  if (value.endsWith("\\")) return "it ends with a backslash, which some readers of .env files treat as an escape"
  return value.includes("'") && /["$`\\]/.test(value)
    ? 'it holds an apostrophe and one of " $ ` \\, which cannot be quoted for all readers of .env files'
    : undefined
}

/**
 * Returns whether a reader that expands `$NAME` would change the value: dotenv-expand (Next.js, Vite), and python-dotenv
 * for `${NAME}`. The file cannot prevent that: other readers would keep the escape.
 */
export const mayBeExpanded = (value: string): boolean => /\$[A-Za-z0-9_{]/.test(value)

/** Formats the lines of a `.env` file. */
export const dotenvLines = (variables: ReadonlyArray<EnvVariable>): string =>
  variables
    .map(({ name, value }) => {
      if (needsNoQuotes(value)) return `${name}=${value}\n`
      return value.includes("'") ? `${name}="${value}"\n` : `${name}='${value}'\n`
    })
    .join("")

/** Returns whether all readers read the value alike without quotes. zsh expands `=name` to the path of a program. */
const needsNoQuotes = (value: string): boolean => /^[A-Za-z0-9_./:@%+,=-]*$/.test(value) && !/(^|:)=/.test(value)

/** Formats lines for `eval` and `.` of any POSIX shell, and for `source` of fish. */
export const shellLines = (variables: ReadonlyArray<EnvVariable>): string =>
  variables
    .map(({ name, value }) => {
      const quoted = shellQuoted(value)
      if (!value.includes("\n")) return `export ${name}=${quoted}\n`
      return `${inPosix} && export ${name}=${quoted}\n${inPosix} || set -gx ${name} ${quoted} || true\n`
    })
    .join("")

/** True in a POSIX shell; in fish, whose `export` takes only values of one line, `\n` is a line feed. */
const inPosix = String.raw`test \n = n`

/** Quotes a value. Backslashes stand outside of the quotes, since fish has escapes within them. */
const shellQuoted = (value: string): string =>
  value.replaceAll(/[^\\']+|[\\']/g, (part) => (/[\\']/.test(part) ? `\\${part}` : `'${part}'`)) || "''"

/** Formats lines for $GITHUB_ENV. The delimiter must be unguessable, or a value could end itself and set other variables. */
export const githubLines = (variables: ReadonlyArray<EnvVariable>, delimiter: string): string =>
  variables.map(({ name, value }) => `${name}<<${delimiter}\n${value}\n${delimiter}\n`).join("")

/** Names that POSIX shells accept. */
export const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/u

/** Returns why a name cannot be used; undefined if it can. */
export const variableProblem = (name: string): string | undefined => {
  if (!variablePattern.test(name)) return "must be letters, digits and _, and not begin with a digit"
  return isSteering(name) ? "controls which programs run or what they load, so it may not be set" : undefined
}

/** Returns the default variable for a secret: GITHUB_TOKEN for `github-token`. */
export const variableFor = (secret: string): string => secret.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_")

/** The env file of a Vercel project that names none. */
export const defaultVercelFile = ".env.local"

/** A path in a project file: relative, and without `..`, so that it stays in the directory of the project. */
export const envFilePattern = /^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\0]+$/u

/** Returns whether a path has the name of an env file, such as `.env.local`. `.envrc` is a program of direnv. */
export const hasEnvFileName = (file: string): boolean => /(?:^|\/)\.env(?:[._-][^/]*)?\/*$/.test(file)
