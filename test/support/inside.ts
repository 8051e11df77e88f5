/**
 * What the system knows about a running process, where there is a /proc to ask.
 */
import * as fs from "node:fs"
import * as net from "node:net"

/** False on systems without /proc, such as macOS; what asks it cannot be checked there. */
export const hasProc = fs.existsSync("/proc/self/limits")

/** The TCP ports a process listens on; none if it has ended. */
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

/** Whether anything takes connections on a port of the loopback interface. */
export const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true))
    socket.once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

/** The port on which Node's debugger listens. */
export const debuggerPort = 9229

/** Where a file descriptor of a process leads to. */
export const fileBehind = (pid: number, fd: number): string => fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
