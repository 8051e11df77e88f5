/**
 * The exposure of every secret, kept up to date in memory, and in exposure.json for what the log drops.
 *
 * Entries are counted when they are on the disk. The log has all of them until it continues in
 * another file: only then, and at an orderly stop, is exposure.json written. An entry names it by
 * its hash first, so a forged, swapped or older one is detected. No request waits for any of it.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { join } from "node:path"
import { sha256 } from "../../domain/AuditChain.ts"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { exposureSaveFact, withExposure } from "../../domain/storeFacts.ts"
import { Exposure, exposureActions, type ExposureFact } from "../../domain/Exposure.ts"
import { programActions } from "../../domain/StartedPrograms.ts"
import { encodeExposure, exposureFileName } from "../../domain/exposureFile.ts"
import { replaceFile } from "../files/durableFile.ts"
import { pinDirectory } from "../files/pinDirectory.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditLogError } from "./AuditLogError.ts"
import type { AuditPosition } from "./AuditPosition.ts"
import { loadExposure } from "./loadExposure.ts"

export interface KnownExposure {
  readonly exposure: Exposure
  /** Why something may be missing, apart from what the exposure says itself; undefined if nothing is known to be. */
  readonly doubt: string | undefined
}

export class ExposureLedger extends Context.Service<
  ExposureLedger,
  {
    /** Waits until exposure.json and the log are read; then it is up to date. */
    readonly known: Effect.Effect<KnownExposure>
    /** The same without a wait; undefined until they are read. */
    readonly knownNow: Effect.Effect<KnownExposure | undefined>
    /** Appends the last entry of a daemon, which names exposure.json, and writes that; returns the position after it. */
    readonly appendLast: (fact: AuditFact) => Effect.Effect<AuditPosition, AuditLogError>
  }
>()("agent-secrets/ExposureLedger") {
  /** The exposure by exposure.json of this directory and the log. */
  static readonly layer = (directory: string) =>
    Layer.effect(
      ExposureLedger,
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const own = yield* pinDirectory(directory)
        const path = join(directory, exposureFileName)
        let live = new Exposure()
        let doubt: string | undefined
        let isLoaded = false
        /** The predecessor's leases that were adopted before that: what is read tells which of them are counted. */
        const adopted: Array<Parameters<Exposure["add"]>> = []
        /** What was recorded of programs before that. */
        const early: Array<readonly [fact: ExposureFact, seq: number]> = []
        /** Whether anything was counted since exposure.json was written. */
        let isDirty = false
        yield* audit.release(0, "exposure")
        const start = yield* audit.observe({
          written: (facts, first, at) => {
            facts.forEach((fact, index) => {
              if (!isLoaded && fact.action === "lease_adopt") adopted.push([fact, at, first + index])
              else live.add(fact, at, first + index)
              if (!isLoaded && programActions.has(fact.action)) early.push([fact, first + index])
              isDirty ||= counts.has(fact.action)
            })
          },
          stored: () => undefined
        })

        let isAwaited = false
        const pause = Effect.suspend(() => (isAwaited ? Effect.yieldNow : Effect.sleep(pauseWhileIdle)))
        const load = Effect.gen(function* () {
          const loaded = yield* loadExposure(path, { start, pause, check: own.check })
          for (const fact of adopted.splice(0)) loaded.exposure.add(...fact)
          loaded.exposure.absorb(live)
          live = loaded.exposure
          for (const [fact, seq] of early.splice(0)) live.programs.add(fact, seq)
          doubt = loaded.doubt
          isLoaded = true
          yield* audit.release(loaded.saved, "exposure")
          if (loaded.corrections.length > 0) yield* Effect.ignore(audit.append(loaded.corrections))
        }).pipe(
          Effect.catchCause((cause) => {
            doubt = "the audit log could not be read"
            isLoaded = true
            return Effect.logWarning(`exposure: ${messageOf(cause)}`)
          }),
          Effect.provideService(AuditLog, audit)
        )
        const loaded = yield* Effect.cached(load)
        yield* Effect.forkScoped(loaded)

        /** Encodes the exposure, passes its hash to `name`, which records it, and then writes the file. */
        const save = Effect.fnUntraced(
          function* <E>(name: (hash: string | undefined, rows: number) => Effect.Effect<AuditPosition, E>) {
            const { line, seq } = yield* audit.position
            const copy = live.copy()
            isDirty = false
            const chunks: Array<Buffer> = []
            for (const text of encodeExposure(copy, { line, seq })) {
              chunks.push(Buffer.from(text, "utf8"))
              yield* Effect.yieldNow
            }
            // Named before it is written: after a crash in between, the one that was named before is there.
            const write = Effect.gen(function* () {
              const position = yield* name(sha256(Buffer.concat(chunks)), copy.size)
              yield* replaceFile(path, chunks, { check: own.checkSync, isRebuilt: true })
              yield* audit.release(seq, "exposure")
              return { rows: copy.size, position }
            })
            return yield* Effect.uninterruptible(write)
          },
          Effect.onError(() => Effect.sync(() => void (isDirty = true)))
        )
        const saveNow = Effect.andThen(
          Effect.andThen(loaded, own.check),
          save((hash, rows) => audit.append([withExposure(exposureSaveFact(rows), hash)]))
        )
        const saveForever = Effect.gen(function* () {
          yield* audit.nextFile
          const { rows } = yield* saveNow.pipe(Effect.tapError(warn), Effect.retry(Schedule.spaced(retryAfter)))
          yield* Effect.sleep(Duration.times(intervalPerRow, rows))
        }).pipe(Effect.forever)
        const saver = yield* Effect.forkScoped(Effect.ignore(saveForever))

        const now = () => ({ exposure: live, doubt })
        return ExposureLedger.of({
          known: Effect.suspend(() => {
            isAwaited = true
            return Effect.map(loaded, now)
          }),
          knownNow: Effect.sync(() => (isLoaded ? now() : undefined)),
          appendLast: Effect.fnUntraced(function* (fact) {
            const append = (hash?: string) => audit.append([withExposure(fact, hash)])
            // Two writes at once would both fail, and nothing is to follow this entry.
            yield* Fiber.interrupt(saver)
            if (!isLoaded || !isDirty || own.status() !== "same") return yield* append()
            return yield* save(append).pipe(
              Effect.map(({ position }) => position),
              Effect.catchTag("FileError", (error) => Effect.andThen(warn(error), audit.position))
            )
          })
        })
      })
    )

  /** The exposure since now, in memory alone. */
  static readonly layerMemory = Layer.effect(
    ExposureLedger,
    Effect.gen(function* () {
      const exposure = new Exposure()
      const audit = yield* AuditLog
      yield* audit.observe({
        written: (facts, first, at) => {
          for (const [index, fact] of facts.entries()) exposure.add(fact, at, first + index)
          exposure.from ??= { seq: first, at }
        },
        stored: () => undefined
      })
      const known = Effect.succeed({ exposure, doubt: undefined })
      return ExposureLedger.of({ known, knownNow: known, appendLast: (fact) => audit.append([fact]) })
    })
  )
}

/** Entries that are worth a write at the stop. */
const counts: ReadonlySet<string> = new Set(exposureActions)

const warn = (error: { readonly message: string }) =>
  Effect.logWarning(`${exposureFileName} is out of date: ${error.message}; the audit log has what it lacks`)

/** After each chunk of the log, so that the first requests after a start do not wait. */
const pauseWhileIdle = Duration.millis(2)
/** A full disk stays full for a while. */
const retryAfter = Duration.seconds(5)
/** Keeps writing a small part of the work, for any number of rows. */
const intervalPerRow = Duration.micros(100n)

const messageOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => "internal error",
    onSome: (error) => (error instanceof Error ? error.message : "internal error")
  })
