/**
 * The side file of leases.json: how far into the audit log each leases.json reaches
 * that may be on the disk.
 *
 * It names the one that is there and the one that comes, so that a crash between the
 * two files leaves either of them bound.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AuditPosition } from "../audit/AuditLog.ts"
import { type FileError, readIfPresent, replaceFile } from "../files/durableFile.ts"

export const CheckpointBinding = Schema.Struct({
  /** SHA-256 of leases.json in hexadecimal, or "absent". */
  leases: Schema.String,
  /** The number of the last entry of the audit log that leases.json accounts for. */
  seq: Schema.Int,
  /** SHA-256 of that entry's line. */
  line: Schema.String,
  /** The time of that entry; the zero time if there is none. */
  at: Schema.String
})
export type CheckpointBinding = typeof CheckpointBinding.Type

const BindingFile = Schema.Struct({ version: Schema.Literal(2), checkpoints: Schema.Array(CheckpointBinding) })
const decodeBindings = Schema.decodeUnknownOption(Schema.fromJsonString(BindingFile))
export const absentFile = "absent"

const bindingsPath = (leasesPath: string): string => leasesPath.replace(/(\.json)?$/, ".checkpoint.json")

export const readBindings = (leasesPath: string): Effect.Effect<ReadonlyArray<CheckpointBinding>, FileError> =>
  Effect.map(readIfPresent(bindingsPath(leasesPath)), (contents) =>
    contents === undefined
      ? []
      : Option.match(decodeBindings(contents.toString("utf8")), {
          onNone: () => [],
          onSome: (file) => file.checkpoints
        })
  )

export const writeBindings = (leasesPath: string, checkpoints: ReadonlyArray<CheckpointBinding>, check: () => void) =>
  replaceFile(bindingsPath(leasesPath), [Buffer.from(`${JSON.stringify({ version: 2, checkpoints })}\n`, "utf8")], {
    check
  })

export const bindingOf = (leases: string, { at, line, seq }: AuditPosition): CheckpointBinding => ({
  leases,
  seq,
  line,
  at
})
