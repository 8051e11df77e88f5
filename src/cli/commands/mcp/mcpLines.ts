/**
 * Splits what a client sends into lines.
 */

/** A longer line is not kept. It takes the largest value, and a program's input. */
export const maxMcpLine = 8 * 1024 * 1024

/** Splits chunks into lines; undefined stands for a line that is too long. */
export const makeLineSplitter = (limit = maxMcpLine): ((chunk: string) => ReadonlyArray<string | undefined>) => {
  let [rest, isSkipping] = ["", false]
  return (chunk) => {
    const [first = "", ...others] = chunk.split("\n")
    if (others.length === 0) {
      if (!isSkipping) rest += first
      if (rest.length > limit) [rest, isSkipping] = ["", true]
      return []
    }
    const lines = [isSkipping ? undefined : rest + first, ...others.slice(0, -1)]
    rest = others.at(-1) ?? ""
    isSkipping = rest.length > limit
    if (isSkipping) rest = ""
    return lines.map((line) => (line === undefined || line.length > limit ? undefined : line))
  }
}
