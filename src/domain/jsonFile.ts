/**
 * Parses a JSON file that a person may have written, with or without a byte order mark. It
 * imports nothing: the fast path uses it.
 */
export const parseJsonFile = (file: Uint8Array | string): { readonly value: unknown } | { readonly reason: string } => {
  // The decoder leaves out a byte order mark.
  const text = typeof file === "string" ? file : new TextDecoder().decode(file)
  try {
    const value: unknown = JSON.parse(text)
    return { value }
  } catch {
    return { reason: text.includes("\0") ? "the file is UTF-16 or UTF-32, not UTF-8" : "the file is not JSON" }
  }
}
