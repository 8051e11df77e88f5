/**
 * secrets backup: writes the whole store to one encrypted file, with a daemon or without one.
 */
import * as Effect from "effect/Effect"
import { backupStore } from "../../../daemon/operations/backup.ts"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { call } from "../../../rpc/client/client.ts"
import { defineCommand } from "../../command/Command.ts"
import { CommandError, failUsage, fromClient } from "../../command/CommandError.ts"
import { refusalProblem } from "../../command/problems.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import { type BackupKey, exists, recipientProblem, writeBackup } from "./backupFile.ts"
import { readPassphrase } from "./passphrase.ts"
import { absentDaemon } from "./absentDaemon.ts"

const textExample = { document: "", count: 0 }

export const backupCommand = defineCommand({
  name: "backup",
  summary: "Write all secrets to one encrypted file",
  positionals: "FILE",
  arity: [1, 1],
  completes: "file",
  flags: {
    recipient: {
      type: "string",
      value: "KEY",
      summary: "encrypt to this age recipient, not a passphrase; may be repeated"
    },
    "passphrase-file": {
      type: "string",
      value: "PATH",
      summary: "take the passphrase from the first line of this file",
      completes: "file"
    },
    force: { type: "boolean", summary: "replace FILE if it exists" }
  },
  examples: ["secrets backup secrets.backup", "secrets backup secrets.backup --recipient age1xyz"],
  about:
    "The file holds every secret with its value, times, description and rotation command; not the settings and not the audit log. " +
    "It asks for a passphrase, twice, unless there is a recipient. The file is read again before the command reports success. " +
    "A daemon need not run. The audit log records the backup.",
  run: Effect.fnUntraced(function* (args) {
    const [file = ""] = args.positionals
    const recipients = args.options("recipient")
    const passphraseFile = args.option("passphrase-file")
    if (recipients.length > 0 && passphraseFile !== undefined) {
      return yield* failUsage("--recipient and --passphrase-file exclude each other", "Use one of them")
    }
    for (const recipient of recipients) {
      const wrong = recipientProblem(recipient)
      if (wrong !== undefined) return yield* failUsage(...wrong)
    }
    if (file === "-") {
      return yield* failUsage(
        "a backup is written to a file, which is read again",
        "Name a file; ./- for one of that name"
      )
    }
    if (exists(file) && !args.flag("force")) {
      return yield* failUsage(`${escapeValue(file)} exists already`, "Name another file, or add --force to replace it")
    }
    const key: BackupKey =
      recipients.length > 0 ? { recipients } : { passphrase: yield* readPassphrase(passphraseFile, true) }
    const { count, text } = yield* readStore(args)
    yield* writeBackup(file, text, key)
    const isOpened = "passphrase" in key
    return {
      lines: [
        `backed up ${counted(count, "secret")} to ${escapeValue(file)}`,
        isOpened
          ? "Checked: the file was opened again and holds every secret. Only the passphrase opens it"
          : "Checked: the file is whole. Try its key: secrets restore FILE --identity KEY --dry-run"
      ],
      result: { file, count, encrypted_to: isOpened ? "passphrase" : "recipients", opened_again: isOpened }
    }
  })
})

const readStore = Effect.fnUntraced(function* (args: Parameters<typeof loadConfig>[0]) {
  const daemon = yield* loadDaemon(args)
  const asked = call(daemon, "secrets.backup", {}, textExample)
  const found = yield* asked.pipe(absentDaemon(args), Effect.mapError(fromClient))
  if (found !== undefined) return { text: found.document, count: found.count }
  const { withoutDaemon } = yield* Effect.promise(() => import("./withoutDaemon.ts"))
  const options = { command: "secrets backup FILE", create: false }
  return yield* withoutDaemon(yield* loadConfig(args), options, Effect.mapError(backupStore, failedHere))
})

/** Converts an error of the daemon's operations, run in this process. */
export const failedHere = ({
  _tag,
  message
}: {
  readonly _tag: Parameters<typeof refusalProblem>[0]["tag"]
  readonly message: string
}) => new CommandError(refusalProblem({ tag: _tag, message }))
