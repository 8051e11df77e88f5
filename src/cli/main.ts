/**
 * Chooses the command, runs it and prints what comes of it.
 *
 * Standard output gets the result and nothing else; what went wrong goes to
 * standard error, or, with --json, into the envelope on standard output. A command
 * is loaded when it is asked for, so that a small one starts as fast as it can.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { version } from "../version.ts"
import type { Command, Output, Parsed } from "./Command.ts"
import { nameAt } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, misuse } from "./Failure.ts"

const commands: Readonly<Record<string, () => Promise<Command<never>>>> = {
  init: () => import("./init.ts").then((file) => file.init),
  serve: () => import("./serve.ts").then((file) => file.serve),
  add: () => import("./add.ts").then((file) => file.add),
  update: () => import("./update.ts").then((file) => file.update),
  delete: () => import("./delete.ts").then((file) => file.deleteCommand),
  lease: () => import("./lease.ts").then((file) => file.lease),
  revoke: () => import("./revoke.ts").then((file) => file.revoke),
  list: () => import("./list.ts").then((file) => file.list),
  rotate: () => import("./rotate.ts").then((file) => file.rotate),
  health: () => import("./health.ts").then((file) => file.health),
  daemon: () => import("./daemon.ts").then((file) => file.daemon),
  status: () => import("./status.ts").then((file) => file.status),
  audit: () => import("./audit.ts").then((file) => file.audit)
}

const aliases: ReadonlyMap<string, string> = new Map([["rm", "delete"]])

/** Runs a command line; gives the exit status. */
export const main = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const at = nameAt(args)
  const name = aliases.get(args[at] ?? "") ?? args[at]
  if (name === undefined || name === "help") return yield* withoutCommand(args)
  const rest = [...args.slice(0, at), ...args.slice(at + 1)]
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    return fail(name, false, misuse(`there is no command ${JSON.stringify(name)}`, "See them all: secrets --help"))
  }
  const command = yield* Effect.promise(load)
  const parsed = command.parse(rest)
  if (Result.isFailure(parsed)) return fail(name, rest.includes("--json"), parsed.failure)
  if (parsed.success.wants === "help") return print(command.help)
  return yield* run(name, parsed.success)
})

const run = Effect.fnUntraced(function* (name: string, { json, run: program }: Parsed<never>) {
  const exit = yield* Effect.result(program)
  return Result.isFailure(exit) ? fail(name, json, exit.failure) : succeed(name, json, exit.success)
})

const withoutCommand = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  if (args.includes("--version")) return print(`${version}\n`)
  const all = yield* Effect.promise(() => Promise.all(Object.values(commands).map((load) => load())))
  const width = Math.max(...all.map(({ name }) => name.length))
  return print(
    [
      "Keeps secrets encrypted and leases them to agents and workers.",
      "",
      "Usage: secrets COMMAND [flags]",
      "",
      ...all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
      "",
      "Each has its own help: secrets COMMAND --help",
      ""
    ].join("\n")
  )
})

const succeed = (name: string, json: boolean, { failure, result, text }: Output): number => {
  if (!json) print(text ?? "")
  if (failure !== undefined) return fail(name, json, failure, result)
  return json ? print(envelope({ ok: true, success: true, command: `secrets ${name}`, result })) : exitCode.done
}

const fail = (name: string, json: boolean, failure: Failure, result?: unknown): number => {
  const { code, fix, message } = failure
  if (json) {
    print(envelope({ ok: false, success: false, command: `secrets ${name}`, result, error: { message, code }, fix }))
  } else {
    process.stderr.write(`secrets ${name}: ${message}\n${fix === "" ? "" : `  ${fix}\n`}`)
  }
  return failure.exitCode
}

const envelope = (content: object): string => `${JSON.stringify(content, undefined, 2)}\n`

const print = (text: string): number => {
  // A pipe whose reader has gone is no reason to complain.
  process.stdout.once("error", () => process.exit(exitCode.failed))
  process.stdout.write(text)
  return exitCode.done
}
