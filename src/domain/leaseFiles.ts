/**
 * The contents of leases.json, and of its side file, which binds it to a position of the audit log: by the
 * hash of the one and the number and hash of the last entry that it includes.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { fromRow, type Lease, LeaseRow } from "./Lease.ts"

const decodeRows = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.NullOr(Schema.Array(Schema.Unknown))))
const decodeRow = Schema.decodeUnknownOption(LeaseRow)

/** Decodes leases.json; none if the whole file is unreadable. `unreadable` counts invalid rows. */
export const decodeLeases = (text: string) =>
  Option.map(decodeRows(text), (rows) => {
    const leases: Array<Lease> = []
    let unreadable = 0
    for (const row of rows ?? []) {
      const decoded = decodeRow(row)
      const lease = Option.flatMap(decoded, fromRow)
      if (Option.isNone(lease) || Option.isNone(decoded)) unreadable += 1
      else if (decoded.value.revoked !== true) leases.push(lease.value)
    }
    return { leases, unreadable }
  })

/**
 * The last audit entry that a leases.json includes. While leases.json is replaced, its side file describes the current
 * and the next version. A crash between the two writes leaves either version bound to the log.
 */
const CheckpointBinding = Schema.Struct({
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
const decodeFile = Schema.decodeUnknownOption(Schema.fromJsonString(BindingFile))

export const bindingsPath = (leasesPath: string): string => leasesPath.replace(/(\.json)?$/, ".checkpoint.json")

/** Decodes the side file; no bindings if it is invalid. */
export const decodeBindings = (text: string): ReadonlyArray<CheckpointBinding> =>
  Option.match(decodeFile(text), { onNone: () => [], onSome: ({ checkpoints }) => checkpoints })

export const encodeBindings = (checkpoints: ReadonlyArray<CheckpointBinding>): string =>
  `${JSON.stringify({ version: 2, checkpoints })}\n`
