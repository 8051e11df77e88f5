/**
 * Merges a backup into a store: what would be added, updated or left. Nothing is ever deleted.
 */
import * as Redacted from "effect/Redacted"
import { byName, type StoreDocument, type StoredSecret } from "./storeDocument.ts"

export interface MergeOptions {
  /** Takes the backup's version of a secret that was changed after the backup. */
  readonly overwrite: boolean
  /** Leaves such a secret as it is, and restores the others. */
  readonly keepNewer: boolean
  /** Reports what would be done, and changes nothing. */
  readonly dryRun: boolean
}

export interface MergeReport {
  readonly added: ReadonlyArray<string>
  readonly updated: ReadonlyArray<string>
  /** The secrets that were changed after the backup. */
  readonly newer: ReadonlyArray<string>
  readonly unchanged: number
  /** Whether the store was changed, or needed no change. */
  readonly restored: boolean
}

export interface MergePlan extends MergeReport {
  /** The secrets to write. */
  readonly writes: ReadonlyArray<StoredSecret>
}

export const planMerge = (current: StoreDocument, backup: StoreDocument, options: MergeOptions): MergePlan => {
  const [added, updated, newer]: [Array<string>, Array<string>, Array<string>] = [[], [], []]
  const writes: Array<StoredSecret> = []
  let unchanged = 0
  for (const secret of [...backup.secrets.values()].toSorted(byName)) {
    const known = current.secrets.get(secret.name)
    if (known !== undefined && isSame(known, secret)) {
      unchanged += 1
      continue
    }
    if (known === undefined) added.push(secret.name)
    else if (known.updatedAt.millis < secret.updatedAt.millis || options.overwrite) updated.push(secret.name)
    else {
      newer.push(secret.name)
      continue
    }
    // A backup from before does not hand out the value again.
    writes.push(known?.proxyOnly === true ? { ...secret, proxyOnly: true } : secret)
  }
  return { added, updated, newer, unchanged, writes, restored: newer.length === 0 || options.keepNewer }
}

/** Compares what a person set, and no times. */
const isSame = (one: StoredSecret, other: StoredSecret): boolean =>
  Redacted.value(one.value) === Redacted.value(other.value) &&
  one.rotateVia === other.rotateVia &&
  one.rotateStdout === other.rotateStdout &&
  one.description === other.description
