/**
 * launchd in memory, on the Clock of the test. It answers as recorded on Macs: after a bootout of a loaded job, a
 * bootstrap fails with 5 until launchd has cleaned up, though `print` no longer has the job.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { CommandLine, ToolResult } from "../../src/process/runTool.ts"

export interface LaunchdModel {
  readonly run: (command: CommandLine) => Effect.Effect<ToolResult>
  /** The contents of the file that is loaded. */
  readonly loaded: () => string | undefined
  /** The calls without `print`: verb and the rest. */
  readonly calls: () => ReadonlyArray<string>
}

const answer = (status: number, stderr = "", stdout = ""): ToolResult => ({
  status,
  stderr,
  stdout: Buffer.from(stdout)
})

const ioErrorText = "Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors.\n"
const unknownText = `Bad request.\nCould not find service "dev.agent-secrets.daemon" in domain for user gui: 501\n`

/** `cleanup` begins with the first bootstrap that it refuses, so that real time in between does not count. */
export const launchdModel = (cleanup: Duration.Input): LaunchdModel => {
  let loaded: string | undefined
  let state: "clean" | "left" | number = "clean"
  const calls: Array<string> = []
  const bootstrap = (file: string, now: number): ToolResult => {
    if (state === "left") state = now + Duration.toMillis(Duration.fromInputUnsafe(cleanup))
    if (loaded !== undefined || (typeof state === "number" && now < state)) return answer(5, ioErrorText)
    state = "clean"
    loaded = fs.readFileSync(file, "utf8")
    return answer(0)
  }
  const perform = (words: ReadonlyArray<string>, now: number): ToolResult => {
    switch (words[0]) {
      case "print":
        return loaded === undefined
          ? answer(113, unknownText)
          : answer(0, "", `${words[1]} = {\n\tstate = running\n\tpid = 4242\n\truns = 1\n}\n`)
      case "bootstrap":
        return bootstrap(words[2] ?? "", now)
      case "bootout":
        if (loaded === undefined) return answer(3, "Boot-out failed: 3: No such process\n")
        loaded = undefined
        state = "left"
        return answer(0)
      case "kickstart":
        if (loaded === undefined) return answer(113, unknownText)
        return answer(words[1] === "-k" ? 0 : 37)
      default:
        return answer(0)
    }
  }
  return {
    run: ([, ...words]) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (words[0] !== "print") calls.push(words.join(" "))
        return perform(words, now)
      }),
    loaded: () => loaded,
    calls: () => calls
  }
}
