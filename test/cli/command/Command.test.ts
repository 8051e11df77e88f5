/**
 * The argument parser: the forms of a flag, and the errors.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { commandHelp } from "../../../src/cli/command/help.ts"
import { findCommand, parseArguments, unlimited } from "../../../src/cli/command/Command.ts"

const flags = {
  name: { type: "string", summary: "a name" },
  number: { type: "string", short: "n", summary: "a number" },
  follow: { type: "boolean", short: "f", summary: "follow" },
  secret: { type: "string" }
} as const
const spec = { name: "x", summary: "", arity: [0, unlimited], flags, examples: [] } as const

const read = (words: ReadonlyArray<string>, runsProgram?: true) => {
  const parsed = parseArguments(runsProgram ? { ...spec, runsProgram } : spec, words)
  if (parsed.kind === "usage-error") return `${parsed.problem.message}; ${parsed.problem.fix}`
  if (parsed.kind === "help") return "help"
  const { args, json } = parsed
  const [names, number] = [args.options("name"), args.option("number")]
  return {
    ...(json ? { json } : {}),
    ...(args.flag("follow") ? { follow: true } : {}),
    ...(names.length > 0 ? { names } : {}),
    ...(number === undefined ? {} : { number }),
    ...(args.positionals.length > 0 ? { positionals: args.positionals } : {})
  }
}

describe("the argument parser", () => {
  for (const [title, args, expected] of [
    [
      "flags on both sides of positionals",
      ["--json", "a", "--follow", "b"],
      { json: true, follow: true, positionals: ["a", "b"] }
    ],
    ["--name VALUE and --name=VALUE", ["--name", "a", "--name=b=c"], { names: ["a", "b=c"] }],
    ["an empty value", ["--name=", "--number", ""], { names: [""], number: "" }],
    ["a value that begins with dashes", ["--name", "--follow", "-n", "-1"], { names: ["--follow"], number: "-1" }],
    ["a value of several lines", ["--name=a\nb"], { names: ["a\nb"] }],
    ["the last of a repeated flag", ["-n", "1", "-n", "2"], { number: "2" }],
    ["short flags together, the last with a value", ["-fn5"], { follow: true, number: "5" }],
    [
      "words after -- as positionals",
      ["a", "--", "--follow", "--", "-n"],
      { positionals: ["a", "--follow", "--", "-n"] }
    ],
    ["a single dash as a positional", ["-", "-f"], { follow: true, positionals: ["-"] }],
    ["--help", ["a", "-fh"], "help"]
  ] as const) {
    it(`reads ${title}`, () => assert.deepStrictEqual(read(args), expected))
  }

  it.each([
    [[""], "the name of a secret cannot be empty"],
    [["db", "--client-id="], "--client-id cannot be empty"],
    [["db", "--client", "a", "--client", ""], "--client-id cannot be empty"]
  ])("rejects an empty name: %j", (words, message) => {
    const named = {
      ...spec,
      completes: "secret",
      flags: { "client-id": { type: "string", completes: "client", formerly: "client" } }
    } as const
    const parsed = parseArguments(named, words)
    assert.deepInclude(parsed.kind === "usage-error" ? parsed.problem : undefined, { message, exitStatus: 2 })
  })

  it("reads no flag after the name of a program", () => {
    const expected = { follow: true, positionals: ["ls", "-n", "--", "--help"] }
    assert.deepStrictEqual(read(["-f", "ls", "-n", "--", "--help"], true), expected)
    assert.deepStrictEqual(read(["-f", "--", "ls", "-n", "--", "--help"], true), expected)
  })

  for (const [title, args, expected] of [
    ["a misspelled flag, with the right spelling", ["--nmae", "a"], "unknown flag --nmae; Did you mean: --name"],
    [
      "an unknown flag without its value",
      ["--quite-different=hush"],
      "unknown flag --quite-different; See: secrets x --help"
    ],
    ["an unknown short flag without the rest of the word", ["-fpush"], "unknown flag -p; See: secrets x --help"],
    [
      "a misspelled flag without suggesting a hidden one",
      ["--secrte=hush"],
      "unknown flag --secrte; See: secrets x --help"
    ],
    ["a name that objects inherit", ["--constructor"], "unknown flag --constructor; See: secrets x --help"],
    ["a flag without its value", ["a", "--name"], "--name requires a value; See: secrets x --help"],
    ["a value of a boolean flag", ["--follow=hush"], "--follow takes no value; See: secrets x --help"]
  ] as const) {
    it(`rejects ${title}`, () => assert.strictEqual(read(args), expected))
  }

  for (const [arity, args, expected] of [
    [[1, 1], [], "expected 1 argument, got 0; Usage: secrets x [flags]"],
    [[0, 0], ["a"], "expected 0 arguments, got 1; Usage: secrets x [flags]"],
    [[0, 1], ["a", "b"], "expected at most 1 argument, got 2; Usage: secrets x [flags]"],
    [[1, unlimited], [], "expected at least 1 argument, got 0; Usage: secrets x [flags]"]
  ] as const) {
    it(`rejects ${args.length} positionals where ${arity.join(" to ")} are expected`, () => {
      const parsed = parseArguments({ ...spec, arity }, args)
      assert.strictEqual(parsed.kind === "usage-error" && `${parsed.problem.message}; ${parsed.problem.fix}`, expected)
    })
  }
})

describe("a flag with a former spelling and one with a variable", () => {
  afterEach(() => void vi.unstubAllEnvs())

  const own = { "client-id": { type: "string", summary: "", formerly: "client" } } as const
  const clientIn = (...words: ReadonlyArray<string>) => {
    const parsed = parseArguments({ ...spec, flags: own }, words)
    return parsed.kind === "run" ? parsed.args.option("client-id") : parsed.kind
  }

  it("is read by both spellings", () => {
    assert.strictEqual(clientIn("--client", "a"), "a")
    assert.strictEqual(clientIn("--client=a", "--client-id", "b"), "b")
    assert.strictEqual(clientIn("--clien", "a"), "usage-error")
  })

  it("has the value of the variable if it is not given, and none if that is empty", () => {
    const socketIn = (...words: ReadonlyArray<string>) => {
      const parsed = parseArguments(spec, words)
      return parsed.kind === "run" ? parsed.args.option("socket") : parsed.kind
    }
    assert.isUndefined(socketIn())
    vi.stubEnv("AGENT_SECRETS_SOCKET", "/run/s")
    assert.deepStrictEqual([socketIn(), socketIn("--socket", "/other")], ["/run/s", "/other"])
    vi.stubEnv("AGENT_SECRETS_SOCKET", "")
    assert.isUndefined(socketIn())
  })
})

describe("the name of a command", () => {
  it("may be another one that people try, before or after flags", () => {
    for (const [words, name, rest] of [
      [["ls"], "list", []],
      [["--json", "rm", "x"], "delete", ["--json", "x"]],
      [["run", "--", "npm", "start"], "exec", ["--", "npm", "start"]],
      [["set", "x"], "add", ["--update", "x"]],
      [["--timeout", "2", "info", "x"], "show", ["--timeout", "2", "x"]],
      [["constructor"], "constructor", []]
    ] as const) {
      assert.deepStrictEqual(findCommand(words), { name, rest: [...rest] })
    }
  })
})

describe("the help of a command", () => {
  it("has 80 columns, and examples as they are", () => {
    const long = "word ".repeat(40).trim()
    const example = `  {"secrets": [${"1".repeat(90)}]}`
    const about = `${long}\n${long}\n${example}\n\nEnd.`
    const { lines = [] } = commandHelp({ ...spec, about, flags: { name: { type: "string", summary: long } } })
    assert.deepStrictEqual(
      lines.filter((line) => line.length > 80),
      [example]
    )
    assert.strictEqual(lines.join(" ").split("word").length - 1, 120)
    assert.isTrue(lines.includes("End."))
    // The summary of a flag goes on below itself.
    assert.match(lines.join("\n"), /\n {2} {4}--name {2,}word[^\n]*\n {20,}word/)
  })
})
