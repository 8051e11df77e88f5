/**
 * Loaded into the built program before it, at the build alone: when it ends, writes what
 * the engine made of each part into the directory PARTS_MADE, with what runs that had
 * ended before it began had made of it. Of runs side by side, the one with more counts.
 *
 * What was run is compiled by then, and what was not is left out; so what the runs do
 * decides what later ones need not compile.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as vm from "node:vm"

const directory = process.env["PARTS_MADE"] ?? ""
const scripts = new Map<string, vm.Script>()
const fileOf = (part: string): string => path.join(directory, path.basename(part))
const made = (file: string): Buffer | undefined => (fs.existsSync(file) ? fs.readFileSync(file) : undefined)

class Tapped extends vm.Script {
  constructor(text: string, { filename = "", ...options }: vm.ScriptOptions) {
    const file = fileOf(filename)
    super(text, { ...options, filename, cachedData: made(file) })
    scripts.set(file, this)
  }
}
Object.assign(process.getBuiltinModule("node:vm"), { Script: Tapped })
// The engine takes no code that was made under other flags, such as a running daemon gives itself.
Object.assign(process.getBuiltinModule("node:v8"), { setFlagsFromString: () => undefined })

process.on("exit", () => {
  for (const [file, script] of scripts) {
    const data = script.createCachedData()
    if (data.length > (made(file)?.length ?? 0)) fs.writeFileSync(file, data)
  }
})

// `serve` takes no option that loads something into it.
delete process.env["PARTS_MADE"]
process.execArgv = ["--disable-sigusr1"]
