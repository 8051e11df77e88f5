/**
 * Builds the program into dist: the entry, secrets.mjs, and what it imports. The
 * directory runs with Node alone and is installed as a whole.
 */
import { chmod, copyFile, mkdir, readdir, rm, writeFile } from "node:fs/promises"
import * as path from "node:path"
import { build } from "rolldown"
import { nodeOptions } from "../src/service/ServiceOptions.ts"
import { bundleOptions, daemonOptions } from "./bundleOptions.ts"

await mkdir("dist", { recursive: true })
// Only chunks of an earlier build: dist/secrets, the binary, stays.
for (const file of await readdir("dist")) if (/\.[cm]js$/.test(file)) await rm(path.join("dist", file))
await build(bundleOptions)
await build(daemonOptions)
await copyFile("src/entry.mjs", "dist/secrets.mjs")
await chmod("dist/secrets.mjs", 0o755)
// For bin/secrets, which cannot import them.
await writeFile("dist/node-options", nodeOptions.join(" "))
