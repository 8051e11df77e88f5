/** What the functions of the database return, and which rows a look asks for. */
import * as Schema from "effect/Schema"

/** A lease as the database returns it; times are microseconds since 1970, and names are escaped as in JSON. */
export const LeaseRecord = Schema.Struct({
  id: Schema.String,
  secret: Schema.String,
  client: Schema.String,
  machine: Schema.Int,
  created: Schema.Number,
  expires: Schema.Number
})
export type LeaseRecord = typeof LeaseRecord.Type

/** A secret that has changed; without `sealed` it was deleted. */
export const SecretRecord = Schema.Struct({
  name: Schema.String,
  version: Schema.Int,
  changed: Schema.Number,
  sealed: Schema.NullOr(Schema.String)
})
export type SecretRecord = typeof SecretRecord.Type

export const Entered = Schema.Struct({
  verdict: Schema.Literals(["same", "behind", "older"]),
  machine: Schema.Int,
  epoch: Schema.Int,
  seq: Schema.Number,
  hash: Schema.String,
  now: Schema.Number,
  revision: Schema.Number,
  incarnation: Schema.Number
})
export const Looked = Schema.Struct({
  now: Schema.Number,
  revision: Schema.Number,
  active: Schema.NullOr(Schema.Number),
  /** The number of statements about members. */
  members: Schema.Int,
  leases: Schema.Array(LeaseRecord),
  revoked: Schema.Array(LeaseRecord),
  secrets: Schema.Array(SecretRecord)
})
export type Looked = typeof Looked.Type
export const Committed = Schema.Struct({ now: Schema.Number, revision: Schema.Number })
export const Lines = Schema.Array(Schema.String)

/** Which rows a look brings. */
export interface LookRequest {
  readonly pairs: ReadonlyArray<string>
  readonly ids: ReadonlyArray<string>
  readonly prefixes: ReadonlyArray<string>
  readonly secrets: ReadonlyArray<string>
  /** At most so many of the leases that have expired. */
  readonly due: number
  readonly all: boolean
  /** Whether the active leases are counted. */
  readonly count: boolean
}
export const lookAtNothing: LookRequest = {
  pairs: [],
  ids: [],
  prefixes: [],
  secrets: [],
  due: 0,
  all: false,
  count: false
}
