/**
 * The program as on a Mac, on Linux: another platform and user, and a fake launchctl first on the
 * PATH, which runs real daemons.
 */
import type * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Ended, run, type RunOptions, shellVariables } from "../harness/program.ts"
import type { LaunchdState } from "./launchctlAnswers.ts"

export interface FakeMac {
  /** The options of a run of the program. */
  readonly options: RunOptions
  /** Runs `secrets daemon` with these words. */
  readonly daemon: (...words: ReadonlyArray<string>) => Effect.Effect<Ended>
  /** The calls of launchctl without `print`. */
  readonly calls: () => ReadonlyArray<string>
  readonly state: () => Partial<LaunchdState>
  /** Changes what launchd knows or how it behaves. */
  readonly change: (changes: Partial<LaunchdState>) => void
  /** Kills what launchd still runs. */
  readonly end: () => void
}

/** A shell command that runs the program as another user of another platform. */
export const asFakeUser = (uid: number, platform = "linux") =>
  `node=$1; shift; exec "$node" '${path.join(import.meta.dirname, "runAsFakeUser.mjs")}' ${platform} ${uid} "$@"`

/** Makes fakes of system tools; each passes its arguments to a script of this folder, or is a line of shell. */
export const fakeMac = (home: string): FakeMac => {
  const directory = path.join(home, "stand-in")
  const at = (name: string) => path.join(directory, name)
  const read = (name: string) => (fs.existsSync(at(name)) ? fs.readFileSync(at(name), "utf8") : "")
  fs.mkdirSync(directory)
  const script = path.join(import.meta.dirname, "launchctl.ts")
  const lines = [
    `#!/bin/sh`,
    `STAND_IN='${directory}' ${shellVariables} exec '${process.execPath}' --no-warnings '${script}' "$@"`,
    ""
  ]
  fs.writeFileSync(at("launchctl"), lines.join("\n"), { mode: 0o755 })
  const state = (): Partial<LaunchdState> => JSON.parse(read("state.json") || "{}")
  const options: RunOptions = {
    home,
    env: { PATH: `${directory}:/usr/bin:/bin` },
    through: asFakeUser(501, "darwin")
  }
  return {
    options,
    daemon: (...words) => run(["daemon", ...words], options),
    calls: () =>
      read("calls")
        .split("\n")
        .filter((call) => !/^(?:print.*)?$/.test(call)),
    state,
    change: (changes) => fs.writeFileSync(at("state.json"), JSON.stringify({ ...state(), ...changes })),
    end: () => {
      if (read("keeper") === "") return
      process.kill(-Number(read("keeper")), "SIGKILL")
      fs.rmSync(at("keeper"))
    }
  }
}
