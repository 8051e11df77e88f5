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
  } catch (error) {
    if (text.includes("\0")) return { reason: "the file is UTF-16 or UTF-32, not UTF-8" }
    // Nothing else of the message, which quotes the file.
    const [place] = / \(line \d+ column \d+\)$/.exec(String(error)) ?? [""]
    return { reason: `the file is not JSON${place}` }
  }
}
