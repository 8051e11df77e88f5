/**
 * Properties of a running process, from /proc where it exists.
 */
import * as fs from "node:fs"
import * as net from "node:net"

/** False on systems without /proc, such as macOS. */
export const hasProc = fs.existsSync("/proc/self/limits")

/** Returns the TCP ports a process listens on; none if it has ended. */
export const listeningPorts = (pid: number): ReadonlyArray<number> => {
  if (!hasProc || !fs.existsSync(`/proc/${pid}/fd`)) return []
  const own = new Set(
    fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      } catch {
        return undefined
      }
    })
  )
  const rows = ["tcp", "tcp6"].flatMap((table) => {
    const file = `/proc/${pid}/net/${table}`
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n").slice(1) : []
  })
  return rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/)
    return state === "0A" && own.has(inode) ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : []
  })
}

/** Whether a process has received all of its signals and sleeps; true without /proc. */
export const isIdle = (pid: number): boolean => {
  if (!hasProc) return true
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  return /^State:\s+S/m.test(status) && /^ShdPnd:\s+0+$/m.test(status)
}

/** Whether anything accepts connections on a port of the loopback interface. */
export const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true))
    socket.once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

/** The default port of Node's debugger. */
export const debuggerPort = 9229

/** Returns the file that a descriptor of a process refers to. */
export const fileBehind = (pid: number, fd: number): string => fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
