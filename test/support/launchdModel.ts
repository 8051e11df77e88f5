/**
 * launchd in memory, on the Clock of the test, with the answers of `launchctlAnswers`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { CommandLine, ToolResult } from "../../src/process/runTool.ts"
import { answerLaunchctl, emptyLaunchd, type LaunchdState } from "./launchctlAnswers.ts"

export interface LaunchdModel {
  readonly run: (command: CommandLine) => Effect.Effect<ToolResult>
  readonly state: LaunchdState
  /** The calls without `print`: verb and the rest. */
  readonly calls: () => ReadonlyArray<string>
}

/** `read` returns the property list that is loaded. */
export const launchdModel = (
  initial: Partial<LaunchdState> = {},
  read = (file: string) => fs.readFileSync(file, "utf8")
): LaunchdModel => {
  const state = { ...emptyLaunchd, ...initial }
  const calls: Array<string> = []
  return {
    run: ([, ...words]) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (words[0] !== "print") calls.push(words.join(" "))
        const { stdout, ...answer } = answerLaunchctl(words, state, now, read)
        if (words[0] === "bootstrap" && answer.status === 0) state.pid = 4242
        return { ...answer, stdout: Buffer.from(stdout) }
      }),
    state,
    calls: () => calls
  }
}
