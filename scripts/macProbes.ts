/**
 * What `macCheck` measures with Node: the time of flushes, and many connections at once.
 *
 *     node macProbes.ts flushes COUNT DIRECTORY
 *     node macProbes.ts connections COUNT SOCKET
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"

const print = (text: string) => void process.stdout.write(`${text}\n`)

const flushes = (count: number, directory: string): void => {
  const file = path.join(directory, "flushed")
  const descriptor = fs.openSync(file, "a")
  const waits = Array.from({ length: count }, () => {
    fs.writeSync(descriptor, "x".repeat(400))
    const from = performance.now()
    fs.fsyncSync(descriptor)
    return performance.now() - from
  }).toSorted((a, b) => a - b)
  fs.closeSync(descriptor)
  fs.rmSync(file)
  for (const part of [0, 0.5, 0.99, 1]) {
    print(`p${part * 100}: ${waits[Math.min(count - 1, Math.floor(part * count))]?.toFixed(2)} ms`)
  }
}

/** Connects so many times at once, with one request each, and counts the outcomes. */
const connections = async (count: number, socket: string): Promise<void> => {
  const outcomes = new Map<string, number>()
  const one = () =>
    new Promise<void>((resolve) => {
      const end = (outcome: string) => {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        connection.destroy()
        resolve()
      }
      const connection = net.connect(socket)
      connection.on("connect", () => connection.write('{"jsonrpc":"2.0","method":"secrets.status","id":1}\n'))
      connection.once("data", () => end("answered"))
      connection.once("error", (error) => end("code" in error ? String(error.code) : error.message))
      connection.once("end", () => end("closed"))
    })
  await Promise.all(Array.from({ length: count }, one))
  for (const [outcome, times] of outcomes) print(`${outcome}: ${times}`)
}

const [what, ...rest] = process.argv.slice(2)
if (what === "flushes") flushes(Number(rest[0]), rest[1] ?? ".")
else if (what === "connections") await connections(Number(rest[0]), rest[1] ?? "")
else throw new Error(`no such probe: ${what}`)
