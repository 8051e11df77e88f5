/**
 * A check of `secrets doctor` and what it finds.
 *
 * `what` holds constants and numbers alone: `--report` prints it. Names, paths, and the words of
 * other programs belong into `where` and `fix`, which the report leaves out.
 */
import type * as Effect from "effect/Effect"
import type { Examined } from "./examine.ts"

/** `note`: nothing is wrong, but a person should know it. `wrong` alone changes the exit status. */
export type Verdict = "ok" | "note" | "warning" | "wrong"

export interface Finding {
  readonly verdict: Verdict
  readonly what: string
  readonly where?: string | undefined
  /** What to do, in the imperative. */
  readonly fix?: string | undefined
}

export interface Check {
  readonly name: string
  /** It looks into the state directory, or at the store in it; either may be another account's. */
  readonly needs?: "directory" | "store"
  readonly run: (examined: Examined) => Effect.Effect<ReadonlyArray<Finding>>
}

type Found = (what: string, where?: string, fix?: string) => Finding

const found =
  (verdict: Verdict): Found =>
  (what, where, fix) => ({ verdict, what, where, fix })

export const ok = found("ok")
export const note = found("note")
export const warning = found("warning")
export const wrong = found("wrong")
