/**
 * Quotes a word for a POSIX shell. It imports nothing.
 */
export const quoteWord = (word: string): string =>
  /^[A-Za-z0-9_./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
