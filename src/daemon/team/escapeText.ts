/** Escapes text as in JSON, for the database: a text of PostgreSQL has no NUL and no lone surrogate. */
export const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1)

export const unescapeText = (text: string): string => {
  const found: unknown = JSON.parse(`"${text}"`)
  return typeof found === "string" ? found : text
}
