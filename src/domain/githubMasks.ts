/**
 * The workflow commands that hide values in the log of a GitHub job. GitHub masks line by line,
 * wherever the text is found: the parts are as long as those that `exec --mask` replaces, since
 * a mask of a brace would hide every brace.
 */
import type { EnvVariable } from "./envFile.ts"
import { minMaskedLength } from "./Masker.ts"
import { isLongPart, jsonStrings } from "./variants.ts"

export interface GithubMasks {
  /** The commands, one a line. */
  readonly commands: string
  /** The variables of which nothing is masked. */
  readonly unmasked: ReadonlyArray<string>
}

export const githubMasks = (variables: ReadonlyArray<EnvVariable>): GithubMasks => {
  const masked = variables.map(({ name, value }) => ({ name, value, texts: maskedTexts(value) }))
  const texts = new Set(masked.flatMap((one) => one.texts))
  return {
    commands: [...texts].map((text) => `::add-mask::${text.replaceAll("%", "%25")}\n`).join(""),
    unmasked: masked.filter((one) => one.value !== "" && one.texts.length === 0).map(({ name }) => name)
  }
}

/** Returns the lines of a value, and of the strings in it if it is JSON. */
const maskedTexts = (value: string): ReadonlyArray<string> =>
  [value, ...jsonStrings(value)].flatMap((text) => {
    const lines = text.split(/[\r\n]+/).map((line) => line.trim())
    const [line = "", ...others] = lines.filter((one) => one !== "")
    if (others.length > 0) return lines.filter(isLongPart)
    return Buffer.byteLength(line) >= minMaskedLength ? [line] : []
  })
