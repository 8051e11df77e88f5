/**
 * `npm run bench`: all benchmarks, or those that are named. Each measures its floor in
 * the same run.
 */
const benchmarks: Readonly<Record<string, () => Promise<unknown>>> = {
  acquire: () => import("./acquire.ts"),
  growth: () => import("./growth.ts"),
  sink: () => import("./sink.ts")
}

const named = process.argv.slice(2)
for (const [name, run] of Object.entries(benchmarks)) {
  if (named.length === 0 || named.includes(name)) await run()
}
