/**
 * The side file of leases.json: up to which audit entry each leases.json reaches.
 *
 * While leases.json is replaced, it describes the current and the next version, so that
 * a crash between the two files leaves either version bound to the log.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AuditPosition } from "../audit/AuditLog.ts"
import { type FileError, readIfPresent, replaceFile } from "../files/durableFile.ts"

export const CheckpointBinding = Schema.Struct({
  /** SHA-256 of leases.json in hexadecimal, or "absent". */
  leases: Schema.String,
  /** The number of the last audit entry that leases.json includes. */
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
