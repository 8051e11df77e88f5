/**
 * The values of a secret as the logs of all machines of a team tell it.
 *
 * Each log has its own numbers, so what is of two logs is ordered by time, which is that of the team's
 * server. A row that began before a change and went on after it counts for both values.
 */
import { type ExposedValue, type Handout, isEarlier, lastPlace, type LogPlace, type ValueChange } from "./Exposure.ts"

/** What one log says of a secret. */
export interface ValuesOfLog {
  /** Undefined for this machine. */
  readonly machine: string | undefined
  readonly values: ReadonlyArray<ExposedValue>
}

/** Returns the values, the current one last. */
export const mergeValues = (logs: ReadonlyArray<ValuesOfLog>): ReadonlyArray<ExposedValue> => {
  const values = logs.flatMap(({ machine, values: all }) => all.map((value) => placed(value, machine)))
  const changes = values.flatMap(({ set }) => set ?? []).toSorted((a, b) => a.at.millis - b.at.millis)
  return [undefined, ...changes].flatMap((set, index): ReadonlyArray<ExposedValue> => {
    const end = changes[index]
    const isWithin = (place: LogPlace) => set === undefined || !isEarlier(place, set)
    const handouts = values.flatMap((value) =>
      value.handouts.filter((row) => isWithin(lastPlace(row)) && (end === undefined || beginsBefore(row, end)))
    )
    const rotations = values.flatMap(({ rotated }) => rotated ?? [])
    const rotated = rotations.filter((place) => isWithin(place) && (end === undefined || isEarlier(place, end)))
    const unnamed = values.filter((value) => value.unnamed > 0 && value.handouts.some((row) => handouts.includes(row)))
    if (set === undefined && end !== undefined && handouts.length === 0) return []
    return [
      {
        set,
        rotated: rotated.toSorted((a, b) => a.at.millis - b.at.millis).at(-1),
        handouts,
        unnamed: unnamed.reduce((sum, value) => sum + value.unnamed, 0)
      }
    ]
  })
}

/** Returns whether a row begins before a change. The rows of a log are of one of its values each, so there a number tells. */
const beginsBefore = (row: Handout, change: ValueChange): boolean =>
  row.machine === change.machine ? isEarlier(lastPlace(row), change) : row.first.millis < change.at.millis

const placed = (value: ExposedValue, machine: string | undefined): ExposedValue =>
  machine === undefined
    ? value
    : {
        ...value,
        set: value.set && { ...value.set, machine },
        rotated: value.rotated && { ...value.rotated, machine },
        handouts: value.handouts.map((row) => ({ ...row, machine }))
      }

/** Takes the changes from the values that a machine had before it joined: they were of other secrets, of the same names. */
export const withoutChangesUntil = (values: ReadonlyArray<ExposedValue>, seq: number): ReadonlyArray<ExposedValue> =>
  values.map((value) => (value.set === undefined || value.set.seq > seq ? value : { ...value, set: undefined }))
