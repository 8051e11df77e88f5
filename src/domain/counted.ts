/**
 * Numbers in messages. It loads nothing: the fast path uses it.
 */

/** Returns a number with its noun, and with its verb: "1 lease is", "2 leases are". */
export const counted = (count: number, noun: string, verb?: "is" | "was"): string => {
  const [text, does] =
    count === 1
      ? [noun, verb]
      : [/[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`, verb && plurals[verb]]
  return [count, text, does].filter((word) => word !== undefined).join(" ")
}

const plurals = { is: "are", was: "were" } as const
