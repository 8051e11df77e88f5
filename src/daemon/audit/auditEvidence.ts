/**
 * What other files know of the audit log: leases.checkpoint.json and runs.json name entries of it, and
 * secrets.age is named by it. A change of the log has to change all of them too.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { basename, join } from "node:path"
import { maxEntryNumber, sha256 } from "../../domain/AuditChain.ts"
import type { AuditWitness } from "../../domain/AuditVerifier.ts"
import type { Config } from "../../domain/Config.ts"
import { bindingsPath, decodeBindings } from "../../domain/leaseFiles.ts"
import { decodeRunHistory, runsFileName } from "../../domain/runHistory.ts"
import { exposureFileName } from "../../domain/exposureFile.ts"
import { readIfPresent } from "../files/durableFile.ts"
import { resolveLink } from "../files/pinFile.ts"

/** The paths of files that were written together with the log. */
export interface AuditNeighbours {
  readonly leases?: string
  readonly secrets?: string
  readonly runs?: string
  readonly exposure?: string
}

type NeighbourConfig = Pick<Config, "directory" | "leasesPath" | "secretsPath"> & Partial<Pick<Config, "team">>

export const auditNeighbours = (config: NeighbourConfig): AuditNeighbours => ({
  // Its side file lies beside the real file.
  leases: resolveLink(config.leasesPath),
  // In a team it is a cache, which no entry names.
  ...(config.team === undefined ? { secrets: config.secretsPath } : {}),
  runs: join(config.directory, runsFileName),
  exposure: join(config.directory, exposureFileName)
})

/** Reads the entries that other files name; a file that is missing or unreadable names none. */
export const readWitnesses = Effect.fnUntraced(function* ({ leases, runs }: AuditNeighbours) {
  const bindings = leases === undefined ? [] : decodeBindings(yield* textOf(bindingsPath(leases)))
  const history = runs === undefined ? undefined : Option.getOrUndefined(decodeRunHistory(yield* textOf(runs)))
  return [
    ...bindings.map(({ line, seq }): AuditWitness => ({ seq, hash: line, from: basename(bindingsPath(leases ?? "")) })),
    ...(history?.audit === undefined ? [] : [{ ...history.audit, from: basename(runs ?? "") }])
  ].filter(({ seq }) => seq > 0 && seq < maxEntryNumber)
})

/** Hashes secrets.age; undefined if it cannot be read. */
export const readStoreHash = ({ secrets }: AuditNeighbours): Effect.Effect<string | undefined> => hashOf(secrets)

/** Hashes exposure.json; "absent" if there is none, undefined if that does not matter. */
export const readExposureHash = ({ exposure }: AuditNeighbours): Effect.Effect<string | undefined> =>
  exposure === undefined ? Effect.succeed(undefined) : Effect.map(hashOf(exposure), (hash) => hash ?? "absent")

const hashOf = (file: string | undefined): Effect.Effect<string | undefined> =>
  file === undefined
    ? Effect.succeed(undefined)
    : readIfPresent(file).pipe(
        Effect.map((contents) => (contents === undefined ? undefined : sha256(contents))),
        Effect.orElseSucceed(() => undefined)
      )

const textOf = (file: string): Effect.Effect<string> =>
  readIfPresent(file).pipe(
    Effect.map((contents) => contents?.toString("utf8") ?? ""),
    Effect.orElseSucceed(() => "")
  )
