/**
 * Words as they are typed in a POSIX shell.
 */
import { escapeValue } from "./escape.ts"

/** Quotes a word, if it needs that. */
export const quoteWord = (word: string): string =>
  /^[A-Za-z0-9_./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

/** Returns a name or an id to type after a command; a placeholder for one that a terminal cannot show or that looks like a flag. */
export const nameWord = (name: string, placeholder = "NAME"): string =>
  name === "" || name.startsWith("-") || escapeValue(name) !== name ? placeholder : quoteWord(name)
