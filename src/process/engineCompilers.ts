/**
 * Gives the binary the usual compilers of its engine when it lives longer than most commands.
 *
 * It starts with thresholds a hundred times as high (scripts/buildBinary.ts), because a short
 * command ends before compiled code has saved what compiling took. Node has no such switch.
 */
import { setTimeout } from "node:timers"

/** In milliseconds: longer than a command takes that only asks the daemon something. */
const shortLife = 250

/** What Bun gives to a program. */
declare const Bun: { readonly unsafe: { readonly setJITPolicy: (scale: number) => void } } | undefined

const ofRuntime = typeof Bun === "undefined" ? undefined : Bun.unsafe.setJITPolicy

/** Does nothing where `scaleThresholds` is undefined, because the engine cannot be told. */
export const compileAfterShortLife = (scaleThresholds = ofRuntime, after = afterUnlessEnded): void => {
  if (scaleThresholds !== undefined) after(shortLife, () => scaleThresholds(1))
}

const afterUnlessEnded = (millis: number, run: () => void): void => void setTimeout(run, millis).unref()
