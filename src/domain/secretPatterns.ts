/**
 * Patterns of secrets: tokens with the prefix of their issuer, and assignments to names
 * such as `password`. A match is a range and a kind, never the text. Every expression
 * runs in linear time on any text, and no match is longer than `maxMatchLength`.
 */

export type Severity = "critical" | "high" | "medium" | "low"

export interface SecretKind {
  /** The name in JSON output. */
  readonly type: string
  readonly severity: Severity
  /** The name in text output. */
  readonly what: string
  /** Whether its hash may be shown, because the text cannot be guessed from it. */
  readonly hardToGuess: boolean
}

export interface SecretMatch extends SecretKind {
  readonly start: number
  readonly end: number
}

/** In bytes. A longer token is found by its prefix. */
export const maxMatchLength = 8 * 1024

const token = (type: string, severity: Severity, what: string, expression: string, hardToGuess = true) => ({
  kind: { type, severity, what, hardToGuess },
  expression
})

/** The lookbehinds follow the first letters of a token: that is many times faster than to begin with them. */
const tokens = [
  token("github_token", "critical", "GitHub token", "gh[pousr]_(?<![A-Za-z0-9]gh._)[A-Za-z0-9]{32,255}"),
  token("github_token", "critical", "GitHub token", "github_pat_[A-Za-z0-9_]{60,255}"),
  token(
    "aws_access_key_id",
    "critical",
    "AWS access key id",
    "A(?:KI|SI)A(?<![A-Za-z0-9]A..A)[0-9A-Z]{16}(?![A-Za-z0-9])"
  ),
  token("stripe_key", "critical", "Stripe live key", "[sr]k_live_[A-Za-z0-9]{24,255}"),
  token("stripe_key", "medium", "Stripe test key", "[sr]k_test_[A-Za-z0-9]{24,255}"),
  token("stripe_key", "high", "Stripe live publishable key", "pk_live_[A-Za-z0-9]{24,255}"),
  token("stripe_key", "low", "Stripe test publishable key", "pk_test_[A-Za-z0-9]{24,255}"),
  token("anthropic_key", "critical", "Anthropic key", "sk-ant-[A-Za-z0-9_-]{32,255}"),
  token("openai_key", "critical", "OpenAI key", "sk-proj-[A-Za-z0-9_-]{32,255}"),
  token("google_api_key", "high", "Google API key", "AIza(?<![A-Za-z0-9_-]AIza)[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
  token("slack_token", "high", "Slack token", "xox[abeoprs]-(?<![A-Za-z0-9]xox.-)[A-Za-z0-9-]{20,250}"),
  token("gitlab_token", "critical", "GitLab token", "glpat-[A-Za-z0-9_-]{20,255}"),
  token("npm_token", "critical", "npm token", "npm_(?<![A-Za-z0-9]npm_)[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
  token("age_identity", "critical", "age identity", "AGE-SECRET-KEY-1[0-9A-Z]{58}"),
  token(
    "jwt",
    "high",
    "JSON Web Token",
    "eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{10,2000}\\.eyJ[A-Za-z0-9_-]{10,4000}\\.[A-Za-z0-9_-]{10,1000}"
  ),
  token(
    "private_key",
    "critical",
    "private key",
    "-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH|ENCRYPTED|PGP) )?PRIVATE KEY(?: BLOCK)?-----",
    false
  )
]

const tokenExpression = new RegExp(tokens.map(({ expression }) => `(${expression})`).join("|"), "g")

/** Names the issuer of a text that is a token and nothing else; undefined for any other text. */
export const tokenOf = (text: string): string | undefined =>
  tokens.find(({ expression }) => new RegExp(`^(?:${expression})$`).test(text))?.kind.what

/** Matches upper and lower case; faster than the flag `i`. */
const anyCase = (word: string) => word.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`)

const awsSecret = anyCase("aws[_-]?secret[_-]?(?:access[_-]?)?key")
const apiKey = anyCase("api[_-]?key")
const [secret, tokenWord, password] = [anyCase("secret"), anyCase("token"), anyCase("passw(?:or)?d")]
/** `token_v2`, `tokenValue` and `tokens`, but not `tokenizer`. */
const restOfName = "(?:[_-][A-Za-z0-9_-]{0,40}|[A-Z0-9][A-Za-z0-9_]{0,40}|s)?"

const assignmentExpression = new RegExp(
  `(?:(?<aws>${awsSecret})|(?<key>${apiKey}|${secret}|${tokenWord})|(?<password>${password}))${restOfName}` +
    "[\"']?[ \\t]{0,20}(?::=|=>|=|:)[ \\t]{0,20}" +
    "(?:\"(?<double>[^\"\\s]{8,400})\"|'(?<single>[^'\\s]{8,400})'|`(?<back>[^`\\s]{8,400})`|(?<bare>[^\\s\"'`,;<>(){}\\[\\]$]{8,400}))",
  "g"
)

/** The kinds of assigned values, and whether a value may be one. */
const assigned = {
  aws: {
    kind: { type: "aws_secret_access_key", severity: "critical", what: "AWS secret access key", hardToGuess: true },
    fits: (value: string) => /^[A-Za-z0-9/+]{40}$/.test(value)
  },
  key: {
    kind: { type: "generic_secret", severity: "medium", what: "key, secret or token", hardToGuess: true },
    fits: (value: string) => /^[A-Za-z0-9_+/=.~-]{20,}$/.test(value) && isVaried(value) && !isName(value)
  },
  password: {
    kind: { type: "password", severity: "medium", what: "password", hardToGuess: false },
    fits: (value: string) =>
      isVaried(value) && !isName(value) && !/^[$%{<]|[{<]$|^[a-z_.-]*password[a-z_.-]*$/i.test(value)
  }
} as const

/** Finds what looks like a secret in a text whose characters are bytes, in the order of the text. */
export const findPatterns = (text: string): ReadonlyArray<SecretMatch> => {
  const all = [...findTokens(text), ...findAssignments(text)].toSorted((a, b) => a.start - b.start)
  // An assigned token matches twice; the match of the token is more specific.
  return all.filter((match, n) => !isCoveredBy(match, all[n - 1]) && !isCoveredBy(match, all[n + 1]))
}

const isCoveredBy = (match: SecretMatch, other: SecretMatch | undefined): boolean =>
  other !== undefined && isVague(match) && !isVague(other) && other.start < match.end && match.start < other.end

const isVague = ({ severity }: SecretMatch): boolean => severity === "medium"

const findTokens = (text: string): ReadonlyArray<SecretMatch> =>
  Array.from(text.matchAll(tokenExpression)).flatMap((match) => {
    const found = tokens[match.slice(1).findIndex((group) => group !== undefined)]
    return found === undefined ? [] : [{ ...found.kind, start: match.index, end: match.index + match[0].length }]
  })

const findAssignments = (text: string): ReadonlyArray<SecretMatch> =>
  Array.from(text.matchAll(assignmentExpression)).flatMap((match) => {
    const { aws, back, bare = "", double, key, single } = match.groups ?? {}
    const quoted = double ?? single ?? back
    const value = quoted ?? bare
    const { fits, kind } = assigned[aws !== undefined ? "aws" : key !== undefined ? "key" : "password"]
    const end = match.index + match[0].length - (quoted === undefined ? 0 : 1)
    if (!fits(value) || (quoted === undefined && !isValue(value, text[end] ?? ""))) return []
    return [{ ...kind, start: end - value.length, end }]
  })

/** Returns whether it is an identifier, as `identity.token_purpose`. Words joined by hyphens may be a passphrase. */
const isName = (value: string): boolean => /^[a-z]+(?:[._][a-z]+)+$|^[A-Z]+(?:[._][A-Z]+)+$/.test(value)

/** Returns false for placeholders such as `xxxxxxxxxxxx` and `************`. */
const isVaried = (value: string): boolean => new Set(value).size > 3

/** Returns false for what may be code in place of a value: calls, indexing, member access, words without a digit. */
const isValue = (value: string, next: string): boolean =>
  /\d/.test(value) && !/[([{$<]/.test(next) && !/^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$/.test(value)
