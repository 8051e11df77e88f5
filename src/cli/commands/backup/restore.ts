/**
 * secrets restore: takes the secrets of a backup into the store, with a daemon or without one.
 *
 * It deletes nothing. A secret that was changed after the backup is replaced only on request.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type MergeReport, planMerge } from "../../../daemon/secrets/mergeStore.ts"
import { emptyStore } from "../../../daemon/secrets/storeDocument.ts"
import { missingStore } from "../../../daemon/secrets/storeFiles.ts"
import { decodeBackup, restoreStore } from "../../../daemon/operations/backup.ts"
import { quote } from "../../../domain/goText.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { call, type ClientError } from "../../../rpc/client/client.ts"
import { maxLineBytes } from "../../../rpc/protocol/limits.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { failUsage, fromClient } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import { absentDaemon } from "./absentDaemon.ts"
import { failedHere } from "./backup.ts"
import { dataError, decryptBackup, needsPassphrase, readBackup, readIdentities } from "./backupFile.ts"
import { readPassphrase } from "./passphrase.ts"

/** More bytes than a request has beside its parameters. */
const requestFrame = 1024

const reportExample = { added: [""], updated: [""], newer: [""], unchanged: 0, restored: true }

const flags = {
  identity: {
    type: "string",
    value: "PATH",
    summary: "the file with the age key that opens it",
    completes: "file"
  },
  "passphrase-file": {
    type: "string",
    value: "PATH",
    summary: "take the passphrase from the first line of this file",
    completes: "file"
  },
  overwrite: { type: "boolean", summary: "also replace secrets that were changed after the backup" },
  "keep-newer": { type: "boolean", summary: "leave those as they are, and restore the others" },
  "dry-run": { type: "boolean", summary: "print what would be restored, and restore nothing" }
} as const

export const restoreCommand = defineCommand({
  name: "restore",
  summary: "Take the secrets of a backup into the store",
  positionals: "FILE",
  arity: [1, 1],
  completes: "file",
  flags,
  examples: [
    "secrets restore secrets.backup --dry-run",
    "secrets restore secrets.backup --keep-newer",
    "secrets restore old/secrets.age --identity old/identity.age"
  ],
  about:
    "FILE is a backup, or a secrets.age with the identity.age that belongs to it. Secrets that are not in it stay as they are. " +
    "If a secret was changed after the backup, nothing is restored unless --overwrite or --keep-newer is given. " +
    "Without a daemon the store is written directly, and created if there is none.",
  run: Effect.fnUntraced(function* (args) {
    const [file = ""] = args.positionals
    if (args.flag("overwrite") && args.flag("keep-newer")) {
      return yield* failUsage("--overwrite and --keep-newer exclude each other", "Use one of them")
    }
    const document = yield* open(args, file)
    const isDry = args.flag("dry-run")
    const options = { overwrite: args.flag("overwrite"), keepNewer: args.flag("keep-newer"), dryRun: isDry }
    const daemon = yield* loadDaemon(args)
    const params = { document, overwrite: options.overwrite, keep_newer: options.keepNewer, dry_run: isDry }
    const isTooLarge = Buffer.byteLength(JSON.stringify(params)) > maxLineBytes - requestFrame
    const asked: Effect.Effect<MergeReport | "too large", ClientError> = isTooLarge
      ? Effect.as(call(daemon, "secrets.status", {}, {}), "too large" as const)
      : call(daemon, "secrets.restore", params, reportExample)
    const found = yield* asked.pipe(absentDaemon(args), Effect.mapError(fromClient))
    if (found === "too large") {
      return yield* dataError(
        "this backup is too large for one request to the daemon",
        "Stop the daemon, then run it again"
      )
    }
    if (found !== undefined) return outputOf(found, isDry)
    const { withoutDaemon } = yield* Effect.promise(() => import("./withoutDaemon.ts"))
    const restoring = Effect.mapError(restoreStore(document, options), (error) =>
      error._tag === "NoStore" ? noBackup(file, error.message) : failedHere(error)
    )
    const config = yield* loadConfig(args)
    if (isDry && missingStore({ identity: config.identityPath, secrets: config.secretsPath }) !== undefined) {
      const backup = Result.mapError(decodeBackup(document), (reason) => noBackup(file, reason))
      return outputOf(planMerge(emptyStore, yield* Effect.fromResult(backup), options), isDry)
    }
    const where = { command: "secrets restore FILE", create: !isDry }
    return outputOf(yield* withoutDaemon(config, where, restoring), isDry)
  })
})

/** Returns the text of the store in the file. */
const open = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>, file: string) {
  const bytes = yield* readBackup(file)
  const byPassphrase = needsPassphrase(bytes)
  if (byPassphrase === undefined) return yield* noBackup(file, "it is no age file")
  const identity = args.option("identity")
  if (byPassphrase) {
    if (identity !== undefined)
      return yield* failUsage("a passphrase opens this backup, not --identity", "Omit --identity")
    const passphrase = yield* readPassphrase(args.option("passphrase-file"), false)
    return yield* decryptBackup(bytes, { passphrase }, file)
  }
  if (identity === undefined) {
    return yield* failUsage("this backup is encrypted to a key", "Name the file with the key: --identity PATH")
  }
  return yield* decryptBackup(bytes, { identities: yield* readIdentities(identity) }, file)
})

const noBackup = (file: string, reason: string) =>
  dataError(`${escapeValue(file)}: ${reason}`, "Name a file that secrets backup wrote. Nothing was changed")

/** Names that fit on a line. */
const maxNames = 8

const named = (names: ReadonlyArray<string>): string =>
  [...names.slice(0, maxNames).map(quote), ...(names.length > maxNames ? ["…"] : [])].join(", ")

const outputOf = ({ added, newer, restored, unchanged, updated }: MergeReport, isDry: boolean): Output => {
  const counts = `${added.length} added, ${updated.length} updated, ${unchanged} unchanged`
  const verb = isDry || !restored ? "would restore" : "restored"
  const kept = newer.length === 0 ? [] : [`changed after the backup: ${named(newer)}`]
  return {
    lines: restored || isDry ? [`${verb}: ${counts}`, ...kept] : [],
    result: { added, updated, newer, unchanged, restored: restored && !isDry },
    problem:
      restored || isDry
        ? undefined
        : {
            message: "nothing was restored: secrets were changed after the backup",
            why: named(newer),
            fix: "Take the backup's with --overwrite, or leave them with --keep-newer",
            code: "newer_secrets",
            exitStatus: exitStatus.rejected
          }
  }
}
