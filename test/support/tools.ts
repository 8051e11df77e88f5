/**
 * Fakes of system tools, first on a PATH. Each records its calls and runs a few lines of shell.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "./temporary.ts"

export interface Tools {
  /** The directory with the state of the fakes. */
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** The calls, one line each. */
  readonly calls: () => ReadonlyArray<string>
}

/** Makes fakes from shell scripts by name; `$DIR` is their directory. */
export const tools = Effect.fnUntraced(function* (scripts: Readonly<Record<string, string>>) {
  const directory = yield* temporaryDirectory
  const record = path.join(directory, "calls")
  fs.writeFileSync(record, "")
  fs.chmodSync(directory, 0o755)
  fs.chmodSync(record, 0o666)
  for (const [name, script] of Object.entries(scripts)) {
    const lines = ["#!/bin/sh", `DIR='${directory}'`, `echo "${name} $*" >> "$DIR/calls"`, script, ""]
    fs.writeFileSync(path.join(directory, name), lines.join("\n"), { mode: 0o755 })
  }
  const made: Tools = {
    directory,
    environment: { PATH: `${directory}:/usr/bin:/bin`, HOME: directory },
    calls: () => fs.readFileSync(record, "utf8").split("\n").slice(0, -1)
  }
  return made
})

/** A fake systemctl that stores what is enabled and started. */
export const systemctl = `
[ "$1" = --user ] && shift
case "$1" in
  show)
    if [ -e "$DIR/show" ]; then cat "$DIR/show"; exit 0; fi
    [ -e "$DIR/enabled" ] && echo "LoadState=loaded" && echo "UnitFileState=enabled" || echo "LoadState=not-found"
    [ -e "$DIR/started" ] && echo "ActiveState=active" && echo "MainPID=4242" || echo "ActiveState=inactive" ;;
  enable) touch "$DIR/enabled" ;;
  disable) rm -f "$DIR/enabled" "$DIR/started" ;;
  start|restart)
    if [ -e "$DIR/refuse" ]; then echo "Job for $2 failed because the control process exited with error code." >&2; exit 1; fi
    touch "$DIR/started" ;;
  stop) rm -f "$DIR/started" ;;
esac`
