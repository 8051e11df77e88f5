/**
 * The rules of AGENTS.md that no compiler holds: which folder may import which, that
 * arrows point downwards, and that an exported name has one meaning.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.join(import.meta.dirname, "..")
const files = fs
  .readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll(path.sep, "/"))

/** The table of folders in AGENTS.md, from the lowest to the highest: each with the folders that it may import. */
const rules = new Map(
  [...fs.readFileSync(path.join(root, "AGENTS.md"), "utf8").matchAll(/^\| `src\/([^`]+)` \|[^|]+\| ([^|]*) \|$/gm)].map(
    ([, folder = "", allowed = ""]) =>
      [folder, [...allowed.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)] as const
  )
)

/** The row of the table that a file belongs to: the longest folder that it lies in. */
const folderOf = (file: string): string | undefined =>
  [...rules.keys()].filter((folder) => file.startsWith(`${folder}/`)).toSorted((a, b) => b.length - a.length)[0]

const importsOf = (file: string): ReadonlyArray<string> => {
  const text = fs.readFileSync(path.join(root, "src", file), "utf8")
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)].map(([, target = ""]) =>
    path.posix.join(path.posix.dirname(file), target)
  )
}

/** The names that a file declares and exports, and not those it passes on. */
const exportsOf = (file: string): ReadonlySet<string> => {
  const text = fs.readFileSync(path.join(root, "src", file), "utf8")
  const declared = /^export (?:abstract )?(?:async )?(?:const|class|interface|type|function\*?) (\w+)/gm
  return new Set([...text.matchAll(declared)].map(([, name = ""]) => name))
}

/** What writes to standard output or error, besides Output.ts, which escapes. */
const writers = new Map([
  ["cli/command/Output.ts", "escapes all but values, scripts and metrics"],
  ["daemon/proxy/WorkerProcess.ts", "the worker inherits standard error"],
  ["cli/terminal/askOnTerminal.ts", "a question, escaped; it reads from /dev/tty"],
  ["cli/terminal/screen.ts", "the frame of status --watch, escaped, and the progress of a scan"],
  ["cli/commands/add/readValue.ts", "the prompt for a value, escaped"],
  ["cli/commands/project/maskOutput.ts", "the output of the program that exec runs"],
  ["cli/commands/mcp/mcpStdio.ts", "the lines of the protocol, escaped"],
  ["cli/commands/project/runChild.ts", "the program that exec runs inherits them"],
  ["cli/commands/serve/signals.ts", "listens for errors only"],
  ["cli/commands/serve/protectStart.ts", "a constant"],
  ["process/controllingTerminal.ts", "opens it and writes nothing"]
])
const writes =
  /process\.std(?:out|err)(?!\.(?:isTTY|columns)\b)|\bstd(?:out|err)\b[^;\n]*\} = process\b|writeSync\([12]\b|\bconsole\.|"inherit"|\/dev\/(?:tty|std)/

/** Returns the files that lead back to a file through imports, types included; none if it is in no circle. */
const circleOf = (start: string, imports: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const via = new Map<string, string>()
  const waiting = [start]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const target of imports.get(at) ?? []) {
      if (target === start) {
        const path = [at]
        for (let before = via.get(at); before !== undefined; before = via.get(before)) path.unshift(before)
        return path
      }
      if (!via.has(target)) {
        via.set(target, at)
        waiting.push(target)
      }
    }
  }
  return []
}

describe("the architecture", () => {
  it("has no circle of files", () => {
    const imports = new Map(files.map((file) => [file, importsOf(file)]))
    const circles = files.map((file) => circleOf(file, imports)).filter((circle) => circle.length > 0)
    assert.deepStrictEqual(circles.map((circle) => circle.toSorted().join(" → ")).toSorted(), [])
  })

  it("has a row in AGENTS.md for every folder of src", () => {
    assert.isAbove(rules.size, 10)
    assert.deepStrictEqual(
      files.filter((file) => file.includes("/") && folderOf(file) === undefined),
      []
    )
  })

  it("lets a folder import only what its row in AGENTS.md allows", () => {
    const broken = files.flatMap((file) => {
      const from = folderOf(file)
      if (from === undefined) return []
      return importsOf(file)
        .filter((target) => target.includes("/"))
        .flatMap((target) => {
          const to = folderOf(target) ?? target
          return to === from || rules.get(from)?.includes(to) === true ? [] : [`${file} imports ${target}`]
        })
    })
    assert.deepStrictEqual(broken, [])
  })

  it("has only arrows that point downwards: a row allows only rows above it", () => {
    const order = [...rules.keys()]
    const upwards = [...rules].flatMap(([folder, allowed]) =>
      allowed
        .filter((name) => !order.slice(0, order.indexOf(folder)).includes(name))
        .map((name) => `${folder} → ${name}`)
    )
    assert.deepStrictEqual(upwards, [])
  })

  it("exports no name from two files", () => {
    const owners = new Map<string, Array<string>>()
    for (const file of files) {
      for (const name of exportsOf(file)) owners.set(name, [...(owners.get(name) ?? []), file])
    }
    assert.isAbove(owners.size, 300)
    assert.deepStrictEqual(
      [...owners].filter(([, where]) => where.length > 1).map(([name, where]) => `${name}: ${where.join(", ")}`),
      []
    )
  })

  it("begins the doc comment of every function with a verb in the third person", () => {
    const documented =
      /^ *\/\*\*[\s*]*(\S+)(?:(?!\*\/)[^])*\*\/\n(?:export )?(?:async )?(?:const (\w+)(?:: [^=\n]*(?:=>[^=\n]*)?)? = (?:async )?(?:\(|<\w|Effect\.(?:fn|gen|sync|suspend|promise|callback))|function)/gm
    const found = files.flatMap((file) => [
      ...fs.readFileSync(path.join(root, "src", file), "utf8").matchAll(documented)
    ])
    assert.isAbove(found.length, 500)
    assert.deepStrictEqual(
      found.flatMap(([, verb = "", name]) => (/^[A-Z][a-z]+s,?$/.test(verb) ? [] : [`${name}: ${verb}`])),
      []
    )
  })

  it("has no two files in a folder whose names differ only in letter case", () => {
    const lower = files.map((file) => file.toLowerCase())
    assert.deepStrictEqual(
      files.filter((_, n) => lower.indexOf(lower[n] ?? "") !== n),
      []
    )
  })

  it("prints in one place, which escapes, and in these few files", () => {
    const found = files.filter((file) => {
      const text = fs.readFileSync(path.join(root, "src", file), "utf8").replace(/^\s*(?:\/?\*|\/\/).*$/gm, "")
      return writes.test(text)
    })
    assert.deepStrictEqual(found.toSorted(), [...writers.keys()].toSorted())
  })
})
