/**
 * Loads the parts of the built program that stand in it as texts (`asTexts`).
 *
 * Beside the program may stand a file with the same texts and what the engine made of
 * them (`codeCache`): with it a start takes a third less. It counts if it is of this
 * build, of the owner of the program, for nobody else to write, and undamaged, for the
 * engine runs unseen what it finds there. Without it, or with a part of it that does
 * not count, all works as well, only slower.
 */
// As imports they would be copied, each with all that it exports, at every start of the program.
const fs = process.getBuiltinModule("node:fs")
const vm = process.getBuiltinModule("node:vm")

/**
 * Stands at the end of the built program, and is a comment of two lines: the text of the entry as JSON, and those of the
 * other parts by name as JSON, packed.
 */
declare const textsOfParts: () => void

type Part = (load: (name: string) => unknown) => unknown

/**
 * The file begins with this as JSON, filled up to `headLength` bytes. Then the entry stands twice, for to compare takes a
 * hundredth of the time that Node needs to load what adds up; then the places of the other parts as JSON; then these.
 */
export interface CacheHead {
  /** The build. */
  readonly id: string
  readonly entry: Lengths
  /** How many bytes the places take. */
  readonly places: number
}
export const headLength = 128

/** Of the text, and of what the engine made of it, which stands behind it. */
type Lengths = readonly [text: number, code: number]

/** Where a part is, from the end of the places on; `sum` is the CRC-32 over all of it. */
export type Place = readonly [at: number, sum: number, ...lengths: Lengths]

/** Loads the part `entry`, and what is loaded for it; `id` is of the build. */
export const partLoader = (id: string, entry: string): void => {
  const cache = openCache(id, entry)
  const loaded = new Map<string, unknown>()
  const load = (name: string): unknown => {
    // Not imported, so that it is loaded only where it is needed.
    if (name.startsWith("node:")) return process.getBuiltinModule(name)
    const part = name.slice("./".length)
    const known = loaded.get(part)
    if (known !== undefined) return known
    const kept = cache?.(part)
    const text = kept?.text ?? (part === entry ? ownText() : (texts ??= unpack())[part])
    const script = new vm.Script(text ?? "", { filename: `secrets/${part}`, cachedData: kept?.code })
    const exported = (script.runInThisContext() as Part)(load)
    loaded.set(part, exported)
    return exported
  }
  load(`./${entry}`)
}

const zlib = () => process.getBuiltinModule("node:zlib")

type ByName<A> = Readonly<Record<string, A>>

let texts: ByName<string> | undefined
const ownText = (): string => JSON.parse(String(textsOfParts).split("\n")[1] ?? "")
const unpack = (): ByName<string> => {
  const packed = Buffer.from(String(textsOfParts).split("\n")[2] ?? "", "base64")
  return JSON.parse(zlib().brotliDecompressSync(packed).toString())
}

interface Kept {
  readonly text: string
  readonly code: Buffer
}

/** What gives a part as it stands in the file, or undefined; undefined if the file does not count. */
const openCache = (id: string, entry: string): ((part: string) => Kept | undefined) | undefined => {
  let file: number | undefined
  try {
    const program = fs.realpathSync.native(process.argv[1] ?? "")
    // Whatever it is, to open it must not wait for anybody.
    file = fs.openSync(`${program}.cache`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    const { mode, uid } = fs.fstatSync(file)
    if (uid === fs.statSync(program).uid && (mode & 0o022) === 0) {
      const head: CacheHead = JSON.parse(readAt(file, 0, headLength).toString("latin1"))
      if (head.id === id) return reader(file, head, entry)
    }
  } catch {
    // There is none, or not a whole one.
  }
  if (file !== undefined) fs.closeSync(file)
  return undefined
}

const reader = (file: number, head: CacheHead, entry: string) => {
  const entryLength = head.entry[0] + head.entry[1]
  const placesAt = headLength + 2 * entryLength
  let places: ByName<Place> | undefined
  return (part: string): Kept | undefined => {
    try {
      if (part === entry) {
        const twice = readAt(file, headLength, 2 * entryLength)
        const data = twice.subarray(0, entryLength)
        return data.equals(twice.subarray(entryLength)) ? cut(data, head.entry[0]) : undefined
      }
      places ??= JSON.parse(readAt(file, placesAt, head.places).toString("latin1")) as ByName<Place>
      const place = places[part]
      if (place === undefined) return undefined
      const [at, sum, text, code] = place
      const data = readAt(file, placesAt + head.places + at, text + code)
      return zlib().crc32(data) === sum ? cut(data, text) : undefined
    } catch {
      return undefined
    }
  }
}

const cut = (data: Buffer, text: number): Kept => ({
  text: data.toString("latin1", 0, text),
  code: data.subarray(text)
})

const readAt = (file: number, position: number, length: number): Buffer => {
  const data = Buffer.allocUnsafeSlow(length)
  if (fs.readSync(file, data, 0, length, position) !== length) throw new Error("it ends too early")
  return data
}
