/**
 * Eight words for what two people compare aloud: 128 bits of a hash. Each word has 16 of them, as
 * consonant, vowel, consonant, vowel, consonant.
 */
import { createHash } from "node:crypto"
import type { MachineKeys } from "./members.ts"

const consonants = "bdfghjklmnprstvz"
const vowels = "aiou"
const wordCount = 8

export const fingerprint = (bytes: string): string => {
  const digest = createHash("sha256").update(bytes).digest()
  return Array.from({ length: wordCount }, (_, at) => wordOf(digest.readUInt16BE(2 * at))).join(" ")
}

/** Returns the words of a machine: of its name and both its keys. */
export const fingerprintOf = ({ key, machine, recipient }: MachineKeys): string =>
  fingerprint([machine, recipient, key].join("\n"))

const wordOf = (bits: number): string =>
  [
    consonants[bits >> 12],
    vowels[(bits >> 10) & 3],
    consonants[(bits >> 6) & 15],
    vowels[(bits >> 4) & 3],
    consonants[bits & 15]
  ].join("")
