/**
 * Recognizes a value that a secret had before, since the start: who was given it then has the current one again.
 *
 * It keeps hashes under a random key, in memory alone, so nothing on the disk tells anything of a value.
 */
import * as Redacted from "effect/Redacted"
import { createHmac, randomBytes } from "node:crypto"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { formerFact } from "../../domain/storeFacts.ts"

/** How many values of a secret, and of how many secrets. */
const limits = { values: 100, secrets: 10_000 } as const

export class FormerValues {
  private readonly key = randomBytes(32)
  private readonly hashes = new Map<string, Set<string>>()

  /** Adds a value that the secret no longer has. */
  add(name: string, value: Redacted.Redacted): void {
    const known = this.hashes.get(name) ?? new Set()
    // Those that were added last are kept.
    this.hashes.delete(name)
    this.hashes.set(name, known.add(this.hashOf(value)))
    if (known.size > limits.values) dropFirst(known)
    if (this.hashes.size > limits.secrets) dropFirst(this.hashes)
  }

  /** Returns the fact of a change, which says so if the new value is one of before. */
  mark(fact: AuditFact, value: Redacted.Redacted | undefined): AuditFact {
    const known = this.hashes.get(fact.secret_name ?? "")
    return value !== undefined && known?.has(this.hashOf(value)) === true ? formerFact(fact) : fact
  }

  private hashOf(value: Redacted.Redacted): string {
    return createHmac("sha256", this.key).update(Redacted.value(value)).digest("base64").slice(0, 22)
  }
}

const dropFirst = (of: Map<string, unknown> | Set<string>): void => {
  const [first] = of.keys()
  if (first !== undefined) of.delete(first)
}
