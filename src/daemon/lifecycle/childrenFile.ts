/**
 * children.json: the process groups that the daemon has started, such as one that emits an event.
 *
 * A daemon that is killed cannot end them, and one that hangs or is stopped would stay for good. The
 * next daemon gives each the rest of its time, and then ends it if it is still the same process. The
 * file survives the process and need not survive the machine, so it is not flushed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { type ChildRecord, CurrentChildRecord } from "../../process/childRecord.ts"
import { sleepUntil } from "../../process/sleepUntil.ts"
import { pinDirectory } from "../files/pinDirectory.ts"

export const childrenFileName = "children.json"

const Child = Schema.Struct({ pid: Schema.Int, started_at: Schema.Finite, until: Schema.Finite })
type Child = typeof Child.Type
const decodeChildren = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Child)))

/** Keeps the record, and ends what the last daemon left. */
export const childRecordLayer = (file: string) =>
  Layer.effect(
    CurrentChildRecord,
    Effect.gen(function* () {
      const directory = yield* pinDirectory(dirname(file))
      const left = readChildren(file)
      const children = new Map<number, Child>(left.map((child) => [child.pid, child]))
      const save = () => {
        if (directory.status() === "same") writeChildren(file, [...children.values()])
      }
      const record: ChildRecord = {
        add: (pid, startedAt, until) => {
          children.set(pid, { pid, started_at: startedAt, until })
          save()
        },
        remove: (pid) => {
          children.delete(pid)
          save()
        }
      }
      const end = Effect.fnUntraced(function* (child: Child) {
        yield* sleepUntil(child.until)
        if (yield* endChild(child)) {
          yield* Effect.logWarning(`ended process group ${child.pid}, which a daemon that was killed had started`)
        }
        // The system may have given the number to a child of this daemon.
        if (children.get(child.pid) === child) record.remove(child.pid)
      })
      yield* Effect.forkScoped(Effect.forEach(left, end, { concurrency: "unbounded", discard: true }))
      return record
    })
  )

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = fs.constants

/** Opens the file itself: not what a link names, and without waiting for the other end of a pipe. */
const withFile = <A>(file: string, flags: number, use: (descriptor: number) => A): A => {
  const descriptor = fs.openSync(file, flags | O_NOFOLLOW | O_NONBLOCK, 0o600)
  try {
    return use(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Returns nothing if the file is missing or damaged. */
const readChildren = (file: string): ReadonlyArray<Child> => {
  try {
    const text = withFile(file, O_RDONLY, (descriptor) => fs.readFileSync(descriptor, "utf8"))
    return Option.getOrElse(decodeChildren(text), () => []).filter(({ pid }) => pid > 1)
  } catch {
    return []
  }
}

/** Writes the file, or removes it without children. A failure, as on a full disk, has no effect until the daemon is killed. */
const writeChildren = (file: string, children: ReadonlyArray<Child>): void => {
  try {
    if (children.length === 0) return fs.rmSync(file, { force: true })
    const text = `${JSON.stringify(children)}\n`
    withFile(file, O_WRONLY | O_CREAT | O_TRUNC, (descriptor) => fs.writeFileSync(descriptor, text))
  } catch {
    // The record is only for after a kill.
  }
}

/** Two clocks are compared, one of them in whole seconds on macOS. */
const toleranceMillis = 2000

/** Kills the process group if its leader is the process that was recorded. */
const endChild = Effect.fnUntraced(function* ({ pid, started_at: startedAt }: Child) {
  const age = yield* ageOf(pid)
  const expected = (yield* Clock.currentTimeMillis) - startedAt
  // The number of a process that has ended may be that of another one by now.
  if (age === undefined || Math.abs(age - expected) > toleranceMillis) return false
  return yield* Effect.sync(() => {
    try {
      return process.kill(-pid, "SIGKILL")
    } catch {
      return false
    }
  })
})

/** Returns for how many milliseconds a process has run; undefined if there is none. */
const ageOf = (pid: number): Effect.Effect<number | undefined> =>
  process.platform === "linux"
    ? Effect.sync(() => {
        try {
          const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
          // The name may have spaces and parentheses; the twentieth field after it is the start, in hundredths.
          const started = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19])
          const [uptime = ""] = fs.readFileSync("/proc/uptime", "utf8").split(" ")
          return (Number(uptime) - started / 100) * 1000
        } catch {
          return undefined
        }
      })
    : Effect.promise(() => import("../../process/runTool.ts")).pipe(
        Effect.flatMap(({ runTool }) =>
          runTool(["ps", "-o", "etime=", "-p", String(pid)], { env: { PATH: "/usr/bin:/bin" }, timeout: "5 seconds" })
        ),
        Effect.map(({ status, stdout }) => (status === 0 ? elapsedMillis(stdout.toString("utf8")) : undefined)),
        Effect.orElseSucceed(() => undefined)
      )

/** Reads the elapsed time as ps(1) prints it: `[[dd-]hh:]mm:ss`. */
export const elapsedMillis = (text: string): number | undefined => {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] =
    /^\s*(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)\s*$/.exec(text)?.map((part) => Number(part ?? 0)) ?? []
  const total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
  return /\d:\d/.test(text) ? total * 1000 : undefined
}
