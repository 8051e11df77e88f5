/**
 * Compiles the program into dist/secrets: one executable, with no runtime beside it,
 * that starts in less time than Node needs for nothing.
 *
 * Bun does it, from the same sources as scripts/build.ts; what is said there about
 * parts that are loaded when they are needed is done here by its splitting. It is
 * installed into scripts/bun by this script alone, by a lockfile with checksums, and
 * none of its scripts is run. The binary is for this system and this processor.
 *
 * A compiled program would read .env and bunfig.toml of the directory it is started
 * in, and load code that those name: that is switched off.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { ignoredSignals } from "../src/cli/commands/serve/signals.ts"
import { version } from "../src/version.ts"
import { buildNumber } from "./buildNumber.ts"

const output = "dist/secrets"
const folder = path.join(import.meta.dirname, "bun")

/** The compiler of this system: npm installs the packages that fit it, and one of them runs. */
const compiler = (): string => {
  execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] })
  const packages = path.join(folder, "node_modules/@oven")
  const found = fs
    .readdirSync(packages)
    .map((name) => path.join(packages, name, "bin/bun"))
    .find((file) => {
      try {
        execFileSync(file, ["--version"], { stdio: "ignore" })
        return true
      } catch {
        return false
      }
    })
  if (found === undefined) throw new Error(`none of the compilers in ${packages} runs on this system`)
  return found
}

/**
 * What `serve` cannot wait for until the program is loaded: a signal that comes before would end it. Unlike Node, Bun
 * opens no debugger on SIGUSR1.
 */
const early = `
if (process.argv.includes("serve", 2))
  for (const signal of ${JSON.stringify(ignoredSignals)})
    try {
      process.on(signal, () => {})
    } catch {
      // This system has no such signal.
    }
`

fs.mkdirSync("dist", { recursive: true })
fs.writeFileSync("dist/early.mjs", early)
fs.writeFileSync("dist/entry.mjs", 'import "./early.mjs"\nimport "../src/bin.ts"\n')
try {
  const options = [
    "--compile",
    "--bytecode",
    "--format=esm",
    "--splitting",
    "--minify",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    `--define=BUILD=${JSON.stringify(buildNumber())}`,
    `--define=VERSION=${JSON.stringify(version)}`,
    `--outfile=${output}`
  ]
  execFileSync(compiler(), ["build", "dist/entry.mjs", ...options], { stdio: ["ignore", "ignore", "inherit"] })
} finally {
  fs.rmSync("dist/early.mjs")
  fs.rmSync("dist/entry.mjs")
}
