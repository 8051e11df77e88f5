/**
 * secrets exec: runs a program that has what it needs in its environment.
 *
 * Nothing is on the disk, and the leases end with the program, however it ends. Its
 * exit status is ours. Should we be killed, the leases end by their TTL.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as path from "node:path"
import type { EnvVariable } from "../../../domain/envFile.ts"
import { countMaskable, makeMaskers, minMaskedLength } from "../../../domain/Masker.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { encodedVariantsOfAll } from "../../../domain/encodedVariants.ts"
import { defineCommand, unlimited } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { hostName } from "../lease.ts"
import { installGracefulShutdown } from "./gracefulShutdown.ts"
import type { LeasedSecret } from "./leaseAll.ts"
import { leaseAll, revokeLeases } from "./leaseAll.ts"
import { maskOutput } from "./maskOutput.ts"
import type { ChildOptions, RunningChild } from "./runChild.ts"
import { runChild } from "./runChild.ts"
import type { RequestedSecrets } from "./requestedSecrets.ts"
import { projectFlags } from "./projectFlags.ts"
import { printWarning } from "./printWarning.ts"
import { loadDaemon } from "../../command/settings.ts"
import { printable } from "../../terminal/table.ts"

/** Between SIGTERM and SIGKILL where a program is stopped because its leases end. */
const grace = "5 seconds"

export const execCommand = defineCommand({
  name: "exec",
  summary: "Run a program with what it needs in its environment",
  positionals: "[--] COMMAND [ARGS]",
  arity: [1, unlimited],
  runsProgram: true,
  flags: {
    ...projectFlags,
    mask: { type: "boolean", summary: "show *** instead of the values in what it prints" },
    "stop-at-expiry": { type: "boolean", summary: "end it when the first of its leases ends" }
  },
  examples: [
    "secrets exec -- npm start",
    "secrets exec --secret github_token=GH_TOKEN --ttl 10m -- gh pr list",
    "secrets exec --mask -- terraform plan"
  ],
  about: [
    "What is needed stands in .secrets.json, in the working directory or above it, or is named with --secret.",
    "The exit status is the program's, 128 and the number if a signal ended it, 127 if there is no such program.",
    "With --mask the program writes into pipes, not to a terminal."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    yield* installGracefulShutdown
    const [command = "", ...programArgs] = args.positionals
    const { requestedSecrets } = yield* Effect.promise(() => import("./requestedSecrets.ts"))
    const wanted = yield* requestedSecrets(args)
    const [masked, stops] = [args.flag("mask"), args.flag("stop-at-expiry")]
    if (wanted.source === "vercel") {
      const { pullVercel } = yield* Effect.promise(() => import("./pullVercel.ts"))
      const variables = yield* pullVercel("exec", wanted.vercel, wanted.directory)
      const until = stops ? (yield* Clock.currentTimeMillis) + wanted.millis : undefined
      return ran(yield* runWith(command, programArgs, variables, masked, until))
    }
    const daemon = yield* loadDaemon(args)
    return yield* Effect.acquireUseRelease(
      leaseAll(daemon, clientOf(wanted, command), wanted.secrets),
      (leased) => {
        const variables = leased.map(({ value, variable }) => ({ name: variable, value: Redacted.value(value) }))
        return Effect.map(runWith(command, programArgs, variables, masked, stops ? firstEnd(leased) : undefined), ran)
      },
      (leased) =>
        Effect.flatMap(revokeLeases(daemon, leased), (left) =>
          left === 0
            ? Effect.void
            : printWarning("exec", `${left} of its leases could not be revoked; they end by themselves`)
        )
    )
  })
})

const ran = (status: number) => ({ result: undefined, text: undefined, ranProgram: status })

/** One client has one lease of a secret: two runs beside each other must not end each other's. */
const clientOf = (wanted: Extract<RequestedSecrets, { source: "store" }>, command: string): string =>
  wanted.clientIsGiven && wanted.clientId !== undefined
    ? wanted.clientId
    : `${wanted.clientId ?? hostName()}/${printable(path.basename(command))}[${process.pid}]`

const firstEnd = (leased: ReadonlyArray<LeasedSecret>): number | undefined => {
  const ends = leased.flatMap(({ expiresAt }) => Option.toArray(parseTimestamp(expiresAt)).map(({ millis }) => millis))
  return ends.length === 0 ? undefined : Math.min(...ends)
}

const runWith = Effect.fnUntraced(function* (
  command: string,
  args: ReadonlyArray<string>,
  variables: ReadonlyArray<EnvVariable>,
  masked: boolean,
  until: number | undefined
) {
  const unfit = variables.filter(({ value }) => value.includes("\0")).map(({ name }) => name)
  if (unfit.length > 0) {
    return yield* new CommandError({
      message: `a value holds a NUL byte and cannot be in the environment: ${unfit.join(", ")}`,
      code: "data_error",
      fix: "Store it encoded, in base64 for instance",
      exitStatus: exitStatus.failed
    })
  }
  const run: ChildOptions = {
    command,
    args,
    env: { ...process.env, ...Object.fromEntries(variables.map(({ name, value }) => [name, value])) },
    pump: masked ? maskOutput(yield* maskersFor(variables)) : undefined,
    beside: until === undefined ? undefined : stopAt(until)
  }
  return yield* runChild(run)
})

const maskersFor = Effect.fnUntraced(function* (variables: ReadonlyArray<EnvVariable>) {
  const short = variables.filter(({ value }) => value !== "" && Buffer.byteLength(value) < minMaskedLength)
  if (short.length > 0) {
    yield* printWarning(
      "exec",
      `shorter than ${minMaskedLength} bytes, and not masked: ${short.map(({ name }) => name).join(", ")}`
    )
  }
  const forms = encodedVariantsOfAll(variables.map(({ value }) => value))
  const fitting = countMaskable(forms)
  if (fitting < forms.length) {
    yield* printWarning(
      "exec",
      `the values are too many or too long to be masked in every encoding and line: ${forms.length - fitting} are left out`
    )
  }
  return makeMaskers(forms.slice(0, fitting))
})

const stopAt =
  (until: number) =>
  ({ signal }: RunningChild): Effect.Effect<void> =>
    Effect.gen(function* () {
      yield* Effect.sleep(Math.max(0, until - (yield* Clock.currentTimeMillis)))
      yield* printWarning("exec", "its lease has ended; the program is stopped")
      signal("SIGTERM")
      yield* Effect.sleep(grace)
      signal("SIGKILL")
    })
