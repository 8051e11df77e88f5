/**
 * A full disk under a machine, and under the server. The first stops nothing, because the
 * database has the entries, and the log is whole again afterwards. The second refuses with the
 * server's reason, loses nothing, and service comes back with the space. Needs root.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../../harness/program.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { judge } from "./judge.ts"
import { type Machine, startWork, type Team, type TeamOptions, withTeam } from "./Machine.ts"

const mount = (directory: string, size: string) =>
  void execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory], { stdio: "ignore" })
const unmount = (directory: string) => void execFileSync("umount", ["-l", directory], { stdio: "ignore" })

/** Fills the disk of a directory except for so many bytes; its server may be the one that takes the last of them. */
const fill = (directory: string, left = 0): void => {
  const { bavail, bsize } = fs.statfsSync(directory)
  try {
    fs.writeFileSync(path.join(directory, "filler"), Buffer.alloc(Math.max(0, bavail * bsize - left)))
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
  }
}
const free = (directory: string) => fs.rmSync(path.join(directory, "filler"), { force: true })

const underMachine = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const places: Array<string> = []
  const onMachine = ({ directory, name }: Machine) => {
    if (name !== "m1") return
    fs.mkdirSync(directory, { mode: 0o700 })
    mount(directory, "2m")
    places.push(directory)
    fs.chmodSync(directory, 0o700)
  }
  const release = () => places.splice(0).forEach(unmount)
  try {
    return await withTeam({ machines: 2, onMachine, release }, async (team) => {
      const [machine] = team.machines as [Machine]
      let [tried, refused] = [0, 0]
      for (let round = 0; round < Math.ceil(options.rounds / 5); round += 1) {
        fill(machine.directory, options.random.below(8192))
        for (let n = 0; n < 50; n += 1) {
          tried += 1
          if ((await machine.acquire(`c${n % 6}`)).id === undefined) refused += 1
        }
        const isKilled = options.random.below(2) === 0
        if (isKilled) await machine.stop("SIGKILL")
        free(machine.directory)
        if (isKilled) await machine.serve()
        await machine.untilServed()
      }
      const rows = [{ what: "acquires refused because the disk of the machine was full", tried, failed: refused }]
      return [...rows, ...(await judge(team, options.log))]
    })
  } finally {
    release()
  }
}

const underServer = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const places: Array<string> = []
  const prepare = (data: string) => {
    mount(data, "120m")
    places.push(data)
    fs.chmodSync(data, 0o700)
  }
  const isUp = ({ cluster }: Team) => {
    try {
      return cluster.sql("select 1") === "1"
    } catch {
      return false
    }
  }
  const release = () => places.splice(0).forEach(unmount)
  const teamOptions: TeamOptions = {
    machines: 2,
    prepare,
    release,
    settings: ["wal_recycle = off", "max_wal_size = 32MB", "min_wal_size = 32MB"]
  }
  try {
    return await withTeam(teamOptions, async (team) => {
      const data = path.join(team.cluster.directory, "data")
      const reasons = new Set<string>()
      let [full, kept] = [0, 0]
      for (let round = 0; round < 3; round += 1) {
        const stopWork = startWork(team.machines, options.random)
        await pause(300)
        fill(data)
        await pause(2000)
        full += 1
        for (const { acquires } of team.machines) {
          const last = acquires.at(-1)
          if (last?.id !== undefined) kept += 1
          else reasons.add(last?.error ?? "")
        }
        free(data)
        if (!isUp(team)) team.cluster.start()
        for (const machine of team.machines) await machine.untilServed()
        await stopWork()
      }
      for (const reason of reasons) options.log(`on the full disk of the server: ${reason}`)
      const unclear = [...reasons].filter((reason) => !reason.startsWith("nothing was issued or changed, because "))
      const rows = [
        { what: "unclear refusals on the full disk of the server", tried: 2 * full - kept, failed: unclear.length }
      ]
      return [...rows, ...(await judge(team, options.log))]
    })
  } finally {
    release()
  }
}

export const disks = async (options: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const probe = fs.mkdtempSync(path.join("/tmp", "agent-secrets-"))
  try {
    mount(probe, "1m")
    unmount(probe)
  } catch {
    options.log("left out: full disks, because this user cannot mount")
    return []
  } finally {
    fs.rmdirSync(probe)
  }
  return [...(await underMachine(options)), ...(await underServer(options))]
}
