/**
 * Loads the parts of the built program that stand in it as packed texts (`asTexts`).
 *
 * Beside the program may stand a file with the same texts and what the engine made of
 * them (`codeCache`): with it a start takes a third less. It counts if it is of this
 * build, of the owner of the program, for nobody else to write, and undamaged, for the
 * engine runs unseen what it finds there. Without it, or with a part of it that does
 * not count, all works as well, only slower.
 */
import * as fs from "node:fs"
import * as vm from "node:vm"

/** Stands at the end of the built program, with a line for each part in the comment that is all of it. */
declare const textsOfParts: () => void

type Exports = Readonly<Record<string, unknown>>
type Part = (load: (name: string) => unknown) => Exports

export interface CacheHead {
  /** The build. */
  readonly id: string
  /** Where each part is, from the end of the first line on. */
  readonly places: Readonly<Record<string, Place>>
}

/** `sum` is the CRC-32 over the text and what the engine made of it, which stands behind it. */
type Place = readonly [at: number, textLength: number, codeLength: number, sum: number]

/** The first line of the file takes as many bytes as its first eight digits say, with them and its end. */
export const digitsOfLength = 8

/** What a part exports; `id` is of the build. */
export const loadPart = (name: string, id: string): any => loader(id)(name)

const loader = (id: string) => {
  const cache = openCache(id)
  const loaded = new Map<string, Exports>()
  const load = (name: string): unknown => {
    // Not imported, so that it is loaded only where it is needed.
    if (name.startsWith("node:")) return process.getBuiltinModule(name)
    const part = name.slice("./".length)
    const known = loaded.get(part)
    if (known !== undefined) return known
    const kept = cache && readCached(cache, part)
    const text = kept?.text ?? unpack(part)
    const script = new vm.Script(text, { filename: `secrets/${part}`, cachedData: kept?.code })
    const exported = (script.runInThisContext() as Part)(load)
    loaded.set(part, exported)
    return exported
  }
  return load
}

const zlib = () => process.getBuiltinModule("node:zlib")

const unpack = (part: string): string => {
  const [, rest = ""] = String(textsOfParts).split(`\n${part}:`)
  return zlib()
    .brotliDecompressSync(Buffer.from(rest.slice(0, rest.indexOf("\n")), "base64"))
    .toString()
}

interface Cache extends CacheHead {
  readonly file: number
  readonly from: number
}

const openCache = (id: string): Cache | undefined => {
  let file: number | undefined
  try {
    const program = fs.realpathSync(process.argv[1] ?? "")
    // Whatever it is, to open it must not wait for anybody.
    file = fs.openSync(`${program}.cache`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    const { mode, uid } = fs.fstatSync(file)
    if (uid === fs.statSync(program).uid && (mode & 0o022) === 0) {
      const from = Number(readAt(file, 0, digitsOfLength).toString("latin1"))
      const head: CacheHead = JSON.parse(readAt(file, digitsOfLength, from - digitsOfLength).toString("latin1"))
      if (head.id === id) return { ...head, file, from }
    }
  } catch {
    // There is none, or not a whole one.
  }
  if (file !== undefined) fs.closeSync(file)
  return undefined
}

const readCached = ({ file, from, places }: Cache, part: string) => {
  const place = places[part]
  if (place === undefined) return undefined
  const [at, textLength, codeLength, sum] = place
  try {
    const data = readAt(file, from + at, textLength + codeLength)
    if (zlib().crc32(data) !== sum) return undefined
    return { text: data.toString("latin1", 0, textLength), code: data.subarray(textLength) }
  } catch {
    return undefined
  }
}

const readAt = (file: number, position: number, length: number): Buffer => {
  const data = Buffer.allocUnsafeSlow(length)
  if (fs.readSync(file, data, 0, length, position) !== length) throw new Error("it ends too early")
  return data
}
