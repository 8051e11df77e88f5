/**
 * `npm run bench`: runs all benchmarks, or those named. Each measures its floor, the lower
 * bound of its results, in the same run.
 */
const benchmarks: Readonly<Record<string, () => Promise<unknown>>> = {
  acquire: () => import("./acquire.ts"),
  growth: () => import("./growth.ts"),
  held: () => import("./held.ts"),
  idle: () => import("./idle.ts"),
  mac: () => import("./mac.ts"),
  million: () => import("./million.ts"),
  proxy: () => import("./proxy.ts"),
  sink: () => import("./sink.ts"),
  start: () => import("./start.ts"),
  team: () => import("./team.ts")
}

/** These take minutes, a C compiler or PostgreSQL, so they run only when named. */
const onlyWhenNamed = ["million", "mac", "team"]

const named = process.argv.slice(2)
for (const [name, run] of Object.entries(benchmarks)) {
  if (named.length === 0 ? !onlyWhenNamed.includes(name) : named.includes(name)) await run()
}
