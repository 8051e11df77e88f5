/**
 * A full disk, at many levels of free space, that gets room again. No value is returned
 * without an audit entry, and no change without an acknowledgement. No partial file remains,
 * and the daemon recovers by itself.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { smallDisk } from "./smallDisk.ts"
import { Client } from "../harness/connection.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

/** A clear error: what failed, and the cause. */
const clear = /(nothing was changed|failed to write|are not ended).*(no space left|file too large)/i

interface Counts {
  granted: number
  refused: number
  unclear: number
}

export const diskRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const stateDirectory = path.join(home, ".agent-secrets")
  fs.mkdirSync(stateDirectory, { mode: 0o700 })
  const config = path.join(home, "config.json")
  // The log is rotated on the full disk as well, and never the reason why it is full.
  fs.writeFileSync(config, JSON.stringify({ audit_max_size: "64KB", audit_max_files: 2 }))
  const counts: Counts = { granted: 0, refused: 0, unclear: 0 }
  const handedOut: Array<string> = []
  const logged = new Set<string>()
  const [lostValues, halves, stuck, dishonest] = [[], [], [], []] as [string[], string[], string[], string[]]
  const disk = smallDisk(stateDirectory)
  // On one disk from beginning to end: it goes with the daemon.
  const target = await untilReady(launch({ home, through: disk.through }, ["--config", config]))
  const directory = disk.directory(target.pid)
  const client = new Client(path.join(directory, "agent-secrets.sock"))
  const values = new Map<string, string>()
  try {
    const base = await client.ask("add", { name: "base", value: "made up" })
    if (base?.result === undefined) throw new Error(`not even the first secret was added: ${JSON.stringify(base)}`)
    for (let round = 0; round < rounds; round += 1) {
      const left = random.below(24 * 1024)
      disk.leave(target.pid, left)
      const note = (answer: Awaited<ReturnType<Client["ask"]>>) => {
        if (answer?.error === undefined) return
        counts.refused += 1
        if (clear.test(answer.error.message)) return
        counts.unclear += 1
        log(`round ${round}: ${answer.error.message}`)
      }
      const held: Array<string> = []
      for (let n = 0; n < 60; n += 1) {
        const lease = await client.ask("lease", { secret_name: "base", client_id: `c${n}` })
        if (lease?.result !== undefined) {
          counts.granted += 1
          handedOut.push(lease.result.lease_id)
          held.push(lease.result.lease_id)
        }
        note(lease)
        if (lease?.error !== undefined && n > 20) break
      }
      const name = `s${round}`
      const value = "x".repeat(1 + random.below(6_000))
      const added = await client.ask("add", { name, value })
      if (added?.result !== undefined) values.set(name, value)
      note(added)
      const revoked = await client.ask("revoke", { lease_id: held.at(-1) ?? "none" })
      if (revoked?.error?.code !== -32001) note(revoked)
      const all = await client.ask("revokeAll", {})
      note(all)

      // A refused change did not happen; an acknowledged one did.
      const active = (await client.ask("status", {}))?.result?.active_leases
      if ((all?.result === undefined) === (active === 0))
        dishonest.push(`round ${round}: ${active} leases, ${JSON.stringify(all)}`)
      const there = await client.ask("list", {})
      const isListed = there?.result.secrets.some((one: { readonly name: string }) => one.name === name)
      if (isListed !== (added?.result !== undefined))
        dishonest.push(`round ${round}: the secret is listed: ${isListed}`)

      disk.free(target.pid)
      const again = await client.ask("lease", { secret_name: "base", client_id: "again" })
      if (again?.result === undefined) stuck.push(`round ${round}: ${JSON.stringify(again)}`)
      else {
        handedOut.push(again.result.lease_id)
        if (!(await checkpointHas(directory, again.result.lease_id)))
          stuck.push(`round ${round}: leases.json is not updated`)
      }
      // Frees space for the next round.
      if (values.has(name) && (await client.ask("delete", { name }))?.result !== undefined) values.delete(name)
      for (const id of acquiredIn(directory)) logged.add(id)
      const temporary = fs.readdirSync(directory).filter((file) => file.endsWith(".tmp"))
      if (temporary.length > 1) halves.push(`round ${round}: ${temporary.join(", ")}`)
    }
    lostValues.push(...handedOut.filter((id) => !logged.has(id)))
    client.close()
    halves.push(...unreadable(directory))
  } finally {
    client.close()
    await target.end("SIGTERM")
    fs.rmSync(home, { recursive: true, force: true })
  }
  for (const line of [...lostValues, ...halves, ...stuck, ...dishonest]) log(line)
  return [
    { what: "values without an audit entry", tried: handedOut.length, failed: lostValues.length },
    { what: "unclear errors", tried: counts.refused, failed: counts.unclear },
    { what: "wrong answers", tried: rounds * 2, failed: dishonest.length },
    { what: "partial files", tried: rounds, failed: halves.length },
    { what: "recovery after space is freed", tried: rounds, failed: stuck.length }
  ]
}

/** Waits until leases.json is up to date; returns false after two minutes. */
const checkpointHas = async (directory: string, id: string): Promise<boolean> => {
  for (let waited = 0; waited < 120_000; waited += 10) {
    const file = path.join(directory, "leases.json")
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8").includes(id)) return true
    await pause(10)
  }
  return false
}

/** Returns the ids of all leases that the log records as acquired. */
const acquiredIn = (directory: string): ReadonlyArray<string> => {
  const files = fs.readdirSync(directory).filter((name) => /^audit\.log(\.\d+)?$/.test(name))
  const lines = files.flatMap((name) => fs.readFileSync(path.join(directory, name), "utf8").split("\n"))
  return lines.filter((line) => line.includes('"lease_acquire"')).map((line) => JSON.parse(line).lease_id)
}

/** Returns the files that cannot be parsed. */
const unreadable = (directory: string): ReadonlyArray<string> =>
  ["leases.json", "leases.checkpoint.json", "audit.head.json"].filter((name) => {
    const file = path.join(directory, name)
    try {
      if (fs.existsSync(file)) JSON.parse(fs.readFileSync(file, "utf8"))
      return false
    } catch {
      return true
    }
  })

export const scenario: Scenario = {
  promise:
    "on a full disk no value is sent without its audit entry, no file is partial, and free space restores service",
  rounds: 60,
  run: diskRounds
}
