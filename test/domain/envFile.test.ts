/**
 * The readers of the formatted variables get the values that were written.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseEnv } from "node:util"
import type { EnvVariable } from "../../src/domain/envFile.ts"
import {
  dotenvLines,
  githubLines,
  hasEnvFileName,
  renderEnvHeader,
  parseEnvHeader,
  mayBeExpanded,
  shellLines,
  unsafeForDotenv,
  withEnvHeader
} from "../../src/domain/envFile.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"
import { type Random, randomFrom } from "../support/random.ts"

const controls = Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)).filter((one) => one !== "\r")
const letters = [..."aZ09 '\"`$\\#=!&|;()<>*?~{}[]%^\n\t€é\u2028\u00a0-_./:@+,\u001b", ...controls, "\u007f"]
const valueFrom = (random: Random): string =>
  Array.from({ length: random.below(14) }, () => random.pick(letters)).join("")

/** The shells of this machine, of those that many people use. */
const shells = ["sh", "bash", "dash", "zsh", "ksh", "fish"].filter(
  (shell) => spawnSync(shell, ["-c", "true"]).status === 0
)

/** Returns the environment that a shell exports after it has read the text. */
const environmentIn = (shell: string, text: string): Readonly<Record<string, string>> => {
  const source = shell === "fish" ? "cat | source" : 'eval "$(cat)"'
  // fish writes its settings there.
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))
  const { status, stderr, stdout } = spawnSync(shell, ["-c", `${source}\nexec env -0`], {
    input: text,
    env: { PATH: process.env["PATH"] ?? "", HOME: home }
  })
  fs.rmSync(home, { recursive: true })
  assert.deepStrictEqual([status, String(stderr)], [0, ""], shell)
  return Object.fromEntries(
    String(stdout)
      .split("\0")
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)])
  )
}

const variablesFrom = (random: Random, isFit: (value: string) => boolean): ReadonlyArray<EnvVariable> =>
  Array.from({ length: 400 }, () => valueFrom(random))
    .filter(isFit)
    .map((value, at) => ({ name: `V${at}`, value }))

/** Returns the variables of a shell after it has read the text. */
const inShell = (text: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))
  try {
    fs.writeFileSync(path.join(directory, "file"), text)
    // Command substitution removes trailing line feeds; the X keeps them.
    const script = `set -a; . ./file; for name in ${names.join(" ")}; do eval "printf '%sX\\\\000' \\"\\$$name\\""; done`
    const { status, stderr, stdout } = spawnSync("/bin/sh", ["-c", script], { cwd: directory, env: {} })
    assert.deepStrictEqual([status, String(stderr)], [0, ""])
    return String(stdout).split("X\0").slice(0, -1)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

const header = { source: "store", until: fromMillis(0) } as const
const top = renderEnvHeader(header)

describe("the header", () => {
  it.each(["", "\ufeff", "#!/bin/sh\n", "#!/bin/sh\r\n", "\ufeff#!/bin/sh\n"])(
    "is below what has to be first: %j",
    (first) => {
      const text = withEnvHeader(`${first}a=1`, header)
      assert.strictEqual(text, `${first}${top}a=1`)
      assert.isDefined(parseEnvHeader(text))
    }
  )
})

describe("a .env file", () => {
  it("may have values that some readers expand", () => {
    const changed = ["$2b$10$abc", "a${HOME}", "$x", "${a:-b}"]
    const kept = ["", "US$", "$ 5", "a$.b", "5$"]
    assert.deepStrictEqual([...changed, ...kept].filter(mayBeExpanded), changed)
  })

  it.each([1, 2, 3])("is read unchanged by Node and by a shell (seed %d)", (seed) => {
    const variables = variablesFrom(randomFrom(seed), (value) => unsafeForDotenv(value) === undefined)
    assert.isAbove(variables.length, 100)
    const text = top + dotenvLines(variables)
    assert.deepStrictEqual({ ...parseEnv(text) }, Object.fromEntries(variables.map(({ name, value }) => [name, value])))
    assert.deepStrictEqual(
      inShell(
        text,
        variables.map(({ name }) => name)
      ),
      variables.map(({ value }) => value)
    )
  })

  it("has no needless quotes, so that Docker reads it too", () => {
    assert.strictEqual(dotenvLines([{ name: "A", value: "ghp_x/+=:@." }]), "A=ghp_x/+=:@.\n")
  })

  it("rejects a value that readers would read differently", () => {
    for (const [value, reason] of [
      ["it's $5", /apostrophe/],
      ["a\r\nb", /carriage return/],
      ["a b\\", /backslash/],
      ["a\0b", /NUL/]
    ] as const) {
      assert.match(unsafeForDotenv(value) ?? "", reason)
    }
  })

  it("is marked as managed by its header, not by a value", () => {
    const until = ["1970-01-01T00:00:00Z"]
    assert.deepStrictEqual(parseEnvHeader(`${top}A=b\n`), { until })
    assert.deepStrictEqual(parseEnvHeader(`# made at a time\n\n${top}`), { until })
    for (const none of [`A='\n${top}'\n`, "", "# secrets-managed: false\n", `${top}# secrets-managed: no\n`]) {
      assert.isUndefined(parseEnvHeader(none))
    }
  })
})

describe("the name of an env file", () => {
  it("begins with .env and is no other file", () => {
    const names = [".env", ".env.local", "a/.env-b", ".env_x", "./.env", ".env.d/"]
    const others = [".envrc", ".environment", "env", ".npmrc", ".env/config", ".git/config", "a.env", ".env\nx"]
    assert.deepStrictEqual([...names, ...others].filter(hasEnvFileName), names)
  })
})

describe("lines for a shell", () => {
  const awkward = [
    "C:\\data\\",
    "; touch pwned #",
    "\\",
    "\\\\",
    "'",
    "''\\'",
    "a\\\nb",
    "line\n",
    "\n\nx\r\n",
    "(id)",
    "$(id)`id`",
    "\\x41\\u00e9",
    "%self",
    "",
    " ",
    "\r",
    ...controls,
    "\u007f"
  ]
  const variables = [
    ...awkward.map((value, at) => ({ name: `A${at}`, value })),
    ...variablesFrom(randomFrom(1), () => true)
  ]
  const expected = Object.fromEntries(variables.map(({ name, value }) => [name, value]))

  it.each(shells)("are read unchanged by %s", (shell) => {
    const environment = environmentIn(shell, top + shellLines(variables))
    assert.deepStrictEqual(
      variables.map(({ name }) => [name, environment[name]]),
      Object.entries(expected)
    )
  })

  it("are plain where a value is", () => {
    assert.strictEqual(shellLines([{ name: "A", value: "it's" }]), "export A='it'\\''s'\n")
  })
})

describe("$GITHUB_ENV", () => {
  const variables = [{ name: "KEY", value: "line 100%\r\nEND\n\nlast" }]

  it("has each value between two delimiters", () => {
    assert.strictEqual(githubLines(variables, "END_1"), "KEY<<END_1\nline 100%\r\nEND\n\nlast\nEND_1\n")
  })
})
