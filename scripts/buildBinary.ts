/**
 * Compiles the program into dist/secrets: one executable, with no runtime beside it,
 * that starts in less time than Node needs for nothing.
 *
 * Bun compiles the chunks of the same bundle. It is installed into scripts/bun by this
 * script alone, by a lockfile with checksums, and none of its scripts is run. The binary
 * is for this system and this processor.
 *
 * The signature that macOS requires is made and checked by `signingPlan`.
 *
 * A compiled program would read .env and bunfig.toml of the directory it is started
 * in, and load code that those name: that is switched off.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { build } from "rolldown"
import { bundleOptions } from "./bundleOptions.ts"
import { signingPlan } from "./signingPlan.ts"

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

const options = [
  "--compile",
  "--bytecode",
  "--format=esm",
  "--splitting",
  "--minify",
  // A short command ends before compiled code has saved what compiling took; engineCompilers.ts undoes it for the others.
  "--compile-jit-policy=100",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
  `--outfile=${output}`
]
fs.mkdirSync("dist", { recursive: true })
const chunks = path.join(os.tmpdir(), `agent-secrets-${process.pid}`)
try {
  const names = { entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" }
  // Bun splits ES modules, and its code then starts faster than from CommonJS.
  await build({ ...bundleOptions, output: { ...bundleOptions.output, ...names, dir: chunks, format: "esm" } })
  const entry = path.join(chunks, "main.mjs")
  execFileSync(compiler(), ["build", entry, ...options], { stdio: ["ignore", "ignore", "inherit"] })
} finally {
  fs.rmSync(chunks, { recursive: true, force: true })
}
for (const { command, mayFail } of signingPlan(process.platform, path.resolve(output))) {
  const [name, ...args] = command
  try {
    execFileSync(name, args, { stdio: ["ignore", "ignore", mayFail === true ? "ignore" : "inherit"] })
  } catch (cause) {
    if (mayFail !== true) throw new Error(`the binary is not usable: ${command.join(" ")} failed`, { cause })
  }
}
