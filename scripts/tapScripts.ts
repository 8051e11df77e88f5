/**
 * Loaded into the built program before it, at the build alone: when it ends, writes what
 * the engine made of each part into the directory PARTS_MADE, unless an earlier run has.
 *
 * What was run is compiled by then, and what was not is left out; so what a run does
 * decides what later ones need not compile.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as vm from "node:vm"

const directory = process.env["PARTS_MADE"] ?? ""
const scripts = new Map<string, vm.Script>()

class Tapped extends vm.Script {
  constructor(text: string, options: vm.ScriptOptions) {
    super(text, options)
    if (options.filename !== undefined) scripts.set(path.basename(options.filename), this)
  }
}
Object.assign(process.getBuiltinModule("node:vm"), { Script: Tapped })

process.on("exit", () => {
  for (const [part, script] of scripts) {
    const file = path.join(directory, part)
    if (!fs.existsSync(file)) fs.writeFileSync(file, script.createCachedData())
  }
})

// `serve` takes no option that loads something into it.
delete process.env["PARTS_MADE"]
process.execArgv = ["--disable-sigusr1"]
