/**
 * `npm run bench`: all benchmarks, or those that are named. Each measures its floor in
 * the same run.
 */
const benchmarks: Readonly<Record<string, () => Promise<unknown>>> = {
  acquire: () => import("./acquire.ts"),
  growth: () => import("./growth.ts"),
  idle: () => import("./idle.ts"),
  million: () => import("./million.ts"),
  sink: () => import("./sink.ts")
}

/** These take minutes, and run only when they are named. */
const long: ReadonlySet<string> = new Set(["million"])

const named = process.argv.slice(2)
for (const [name, run] of Object.entries(benchmarks)) {
  if ((named.length === 0 && !long.has(name)) || named.includes(name)) await run()
}
