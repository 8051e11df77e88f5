/**
 * The program that started this one, by name. It is a hint for the audit log: programs choose their
 * names. A shell that only runs a command line is passed over.
 */
import { readFileSync } from "node:fs"

/** Returns undefined if the system does not say. */
export const parentProgram = (pid = process.ppid): string | undefined => {
  try {
    return (process.platform === "linux" ? nameOnLinux(pid) : nameFromPs(pid)) || undefined
  } catch {
    return undefined
  }
}

const nameOnLinux = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  const [, name = "", parent = "0"] = /\((.*)\) \S (\d+)/s.exec(stat) ?? []
  const [, flag] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
  return flag === "-c" && /^(ba|da|z|k|)sh$/.test(name) && Number(parent) > 1 ? nameOnLinux(Number(parent)) : name
}

/** Loads what starts programs only here: it takes as long as a request. */
const nameFromPs = (pid: number): string =>
  process
    .getBuiltinModule("node:child_process")
    .spawnSync("/bin/ps", ["-o", "comm=", "-p", String(pid)], { encoding: "utf8", timeout: 500 })
    .stdout.trim()
