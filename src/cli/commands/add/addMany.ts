/**
 * secrets add --from-env: adds each variable of a dotenv file as a secret.
 *
 * The whole file is validated before anything is added, and every error is reported. The
 * daemon writes the store once, so an interrupted import has added all of them or none. A
 * daemon that has no such method gets one secret after the other.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { quote } from "../../../domain/goText.ts"
import { type ClientError, type DaemonAddress, call, callLong } from "../../../rpc/client/client.ts"
import { errorCodes } from "../../../rpc/protocol/errorTags.ts"
import { maxLineBytes } from "../../../rpc/protocol/limits.ts"
import { literal } from "../../../domain/shape.ts"
import { CommandError, fromClient, failUsage } from "../../command/CommandError.ts"
import { type Output, printNotice } from "../../command/Output.ts"
import { showProgressLine } from "../../terminal/screen.ts"
import { describeEdges, readText } from "./readValue.ts"
import { firstLines, type Selection, type Variable, selectVariables } from "./selectVariables.ts"
import { warnOfLookalikes } from "./warnOfLookalikes.ts"

const doneExample = { success: literal(true) }
const importedExample = { success: literal(true), existing: [""], looks_like: [["", ""] as const] }
const listExample = { secrets: [{ name: "" }] }

export interface Batch extends Selection {
  readonly file: string
  /** Updates secrets that already exist. */
  readonly update: boolean
  readonly dryRun: boolean
  /** The project file to write, or its directory. */
  readonly project: string | undefined
  /** Waits only as long as for any other request. */
  readonly isTimeoutGiven: boolean
}

type Change = "added" | "updated" | "exists" | "failed"

interface Imported {
  readonly name: string
  readonly became: Change
  readonly reason?: string
}

/** Long enough to write a full store on a slow disk. */
const importTimeout = Duration.seconds(30)

const convert = "Convert it first, such as with: iconv -f LATIN1 -t UTF-8 FILE"

export const addMany = Effect.fnUntraced(function* (address: DaemonAddress, batch: Batch) {
  const { skipped, variables } = yield* selectVariables(yield* readText(batch.file, convert), batch)
  if (skipped.length > 0) printNotice(`secrets add: left out, because they have no value: ${skipped.join(", ")}`)
  const project =
    batch.project === undefined
      ? undefined
      : yield* Effect.flatMap(
          Effect.promise(() => import("./writeProject.ts")),
          ({ prepareProject }) => prepareProject(batch.project ?? "", variables)
        )
  if (batch.dryRun) return yield* plan(address, variables, batch.update, project?.file)
  warnOfEdges(variables)
  const longest = batch.isTimeoutGiven ? address.timeout : importTimeout
  const imported = yield* importAll(address, longest, variables, batch.update)
  if (project === undefined) return reportOf(imported)
  yield* project.write
  return reportOf(imported, project.file)
})

const warnOfEdges = (variables: ReadonlyArray<Variable>): void => {
  const names = variables.filter(({ value }) => describeEdges(value) !== undefined).map(({ variable }) => variable)
  if (names.length > 0) printNotice(`secrets: warning: values with white space at their ends: ${names.join(", ")}`)
}

const importAll = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  longest: Duration.Duration,
  variables: ReadonlyArray<Variable>,
  update: boolean
) {
  const entries = variables.flatMap(({ secret, value }) =>
    [secret, value].map((text) => Buffer.from(text).toString("base64"))
  )
  const params = { entries: entries.join(","), update }
  if (params.entries.length > maxEntriesLength) {
    return yield* failUsage(
      "the values together are longer than one import may be: 6 MB",
      "Add them in parts, with --only"
    )
  }
  showProgressLine(`adding ${counted(variables.length, "secret")}`)
  const outcome = yield* callLong(daemon, longest, "secrets.import", params, importedExample).pipe(
    Effect.ensuring(Effect.sync(() => showProgressLine(""))),
    Effect.onInterrupt(() =>
      Effect.sync(() => printNotice("secrets add: interrupted: all secrets were added, or none; see: secrets list"))
    ),
    Effect.result
  )
  if (Result.isFailure(outcome)) {
    const error = outcome.failure
    if (error._tag === "RequestRejected" && error.code === errorCodes.MethodNotFound)
      return yield* oneByOne({ ...daemon, timeout: longest }, variables, update)
    return yield* fromClient(error)
  }
  const { existing, looks_like: lookalikes } = outcome.success
  warnOfLookalikes(lookalikes)
  const known = new Set(existing)
  return variables.map(({ secret: name }): Imported => {
    if (!known.has(name)) return { name, became: "added" }
    return update
      ? { name, became: "updated" }
      : { name, became: "exists", reason: `secret ${quote(name)}: secret already exists` }
  })
})

/** The rest of the line is some hundred bytes. */
const maxEntriesLength = maxLineBytes - 1024

/** Adds them to a daemon of an earlier version, which writes the store for each. */
const oneByOne = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  variables: ReadonlyArray<Variable>,
  update: boolean
) {
  const results: Array<Imported> = []
  const count = () => `${results.length} of ${counted(variables.length, "secret")}`
  const addEach = Effect.gen(function* () {
    for (const { secret: name, value } of variables) {
      showProgressLine(`${count()}`)
      const outcome = yield* Effect.result(put(daemon, name, value, update))
      if (Result.isSuccess(outcome)) {
        results.push({ name, became: outcome.success })
        continue
      }
      const error = outcome.failure
      // Without a daemon each of the others would only time out.
      if (error._tag !== "RequestRejected") {
        const failure = fromClient(error)
        const message = `${failure.message}; ${count()} were processed before this error`
        return yield* new CommandError({ ...failure, message })
      }
      results.push({ name, became: exists(error) ? "exists" : "failed", reason: error.message })
    }
  })
  yield* addEach.pipe(
    Effect.ensuring(Effect.sync(() => showProgressLine(""))),
    Effect.onInterrupt(() => Effect.sync(() => printNotice(`secrets add: interrupted after ${count()}`)))
  )
  return results
})

const put = (daemon: DaemonAddress, name: string, value: string, update: boolean): Effect.Effect<Change, ClientError> =>
  call(daemon, "secrets.add", { name, value }, doneExample).pipe(
    Effect.as("added" as const),
    Effect.catchIf(
      (error) => update && exists(error),
      () => Effect.as(call(daemon, "secrets.update", { name, value }, doneExample), "updated" as const)
    )
  )

const exists = (error: ClientError): boolean => error._tag === "RequestRejected" && error.tag === "SecretExists"

/** Returns what the import would do. */
const plan = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  variables: ReadonlyArray<Variable>,
  update: boolean,
  projectFile: string | undefined
) {
  const { secrets } = yield* Effect.mapError(call(daemon, "secrets.list", { every: true }, listExample), fromClient)
  const known = new Set(secrets.map(({ name }) => name))
  const planned = variables.map(({ secret: name }) => ({
    name,
    becomes: known.has(name) ? (update ? "updated" : "exists") : "added"
  }))
  const lines = planned.map(({ becomes, name }) =>
    becomes === "exists" ? `${quote(name)} exists, and would stay` : `${quote(name)} would be ${becomes}`
  )
  const last = projectFile === undefined ? [] : [`${escapeValue(projectFile)} would be written`]
  const output: Output = {
    lines: [...lines, ...last],
    result: { dry_run: true, secrets: planned, project_file: projectFile }
  }
  return output
})

const reportOf = (results: ReadonlyArray<Imported>, projectFile?: string): Output => {
  const left = results.filter(({ became }) => became === "exists" || became === "failed")
  const reasons = left.map(({ reason }) => reason ?? "")
  return {
    lines: [
      ...results.filter((one) => !left.includes(one)).map(({ became, name }) => `${became} ${quote(name)}`),
      ...(projectFile === undefined ? [] : [`wrote ${escapeValue(projectFile)}; to use it: secrets allow`])
    ],
    result: { secrets: results, project_file: projectFile },
    problem:
      left.length === 0
        ? undefined
        : {
            message: `${left.length} of ${counted(results.length, "secret", "was")} not added`,
            why: firstLines(reasons),
            fix: "To update secrets that already exist, add --update",
            code: "generic_error",
            exitStatus: exitStatus.rejected
          }
  }
}
