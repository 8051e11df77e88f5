/**
 * Has the program stand as texts: an entry, and another module that it imports only when
 * it needs it. A text is compiled when it is loaded, so a command pays for its own part
 * of the program and for no other.
 *
 * The entry is one part with all that it imports: most calls need no other, and each part
 * takes its time to be found. Its text stands as it is; the others are packed together,
 * for what they cost a command that needs none of them goes by their length. They stand
 * in a comment, which is passed over in a tenth of the time that strings take, and a
 * function is around it, so that the program can read it.
 *
 * esbuild cuts the parts; here their imports become calls. It writes them in a few
 * forms, known from its output, and each part is compiled once at the build, which
 * fails if one was left over. Names are bound when a part is loaded: an export that
 * changes later would keep its first value. None of ours does, nor any of the libraries'
 * that another part imports.
 *
 * Beside the program may stand a file with the same texts and what the engine made of
 * them (`codeCache`): a start takes a third less with it. It counts if it is of this
 * build, of the owner of the program and for nobody else to write, and undamaged: the
 * engine would run what it finds there.
 */
import type { BuildOptions, Plugin } from "esbuild"
import { build } from "esbuild"
import { createHash } from "node:crypto"
import * as path from "node:path"
import * as vm from "node:vm"
import * as zlib from "node:zlib"

interface Texts {
  /** The parts by name, as they are compiled; the first is the entry. */
  readonly parts: ReadonlyMap<string, string>
  /** By which a file is known to be of this build. */
  readonly id: string
  /** All of the program: loads the entry, and has the texts. */
  readonly text: string
}

/** `entry` and `later` are files; what the entry imports by the name of the latter is loaded when it comes to that. */
export const asTexts = async (entry: string, later: string, options: BuildOptions): Promise<Texts> => {
  const apart: Plugin = {
    name: "apart",
    setup: (bundle) => {
      bundle.onResolve({ filter: new RegExp(`/${path.basename(later)}$`) }, () => ({
        path: `./${path.basename(later, ".ts")}.js`,
        external: true
      }))
    }
  }
  const parts = [
    ...(await partsOf(entry, { ...options, plugins: [apart, ...(options.plugins ?? [])] })),
    ...(await partsOf(later, { ...options, splitting: true }))
  ]
  for (const [part, text] of parts) vm.compileFunction(text, [], { filename: part })
  const id = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16)
  const [[name, first] = ["", ""], ...others] = parts
  const start = `import { partLoader } from "./partLoader.ts"
    partLoader("${id}", "${name}")`
  const load = await build({
    ...options,
    stdin: { contents: start, resolveDir: import.meta.dirname },
    minify: true,
    write: false
  })
  return {
    parts: new Map(parts),
    id,
    text: `${load.outputFiles[0]?.text ?? ""}function textsOfParts(){/*\n${plain(first)}\n${packed(others)}\n*/}\n`
  }
}

/** Belongs to the schema library, and nothing of ours uses it. */
const needless = "/effect/dist/SemVer.js"

const partsOf = async (entry: string, options: BuildOptions): Promise<ReadonlyArray<readonly [string, string]>> => {
  const { metafile, outputFiles } = await build({
    ...options,
    metafile: true,
    entryPoints: [entry],
    outdir: "parts",
    format: "esm",
    // What is no module has none; the libraries ask whether it is there.
    define: { ...options.define, "import.meta": "undefined" },
    minify: true,
    write: false
  })
  const bundled = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs))
  const kept = bundled.find(([file, { bytesInOutput }]) => file.endsWith(needless) && bytesInOutput > 0)
  if (kept !== undefined)
    throw new Error(`the bundle has ${kept[0]}: a library is used as a value, and kept as a whole`)
  return outputFiles.map((part) => [path.basename(part.path), linked(part.text)])
}

const name = String.raw`[\w$]+`
const imported = new RegExp(
  String.raw`\bimport(?:(?: (${name})|\*as (${name})|(?: (${name}),)?\{([^}]*)\}) ?from)?("[^"]+");`,
  "g"
)

/** A part as a function of what loads the others. */
const linked = (text: string): string => {
  const body = text
    .replaceAll(imported, (_, byDefault, whole, besides, names, from) => {
      const binding = (to: string) => `const ${to}=require(${from});`
      if (whole !== undefined) return binding(whole)
      const first = byDefault ?? besides
      const one = first === undefined ? "" : binding(first)
      if (names !== undefined) return one + binding(`{${names.replaceAll(/ as /g, ":")}}`)
      return first === undefined ? `require(${from});` : one
    })
    .replaceAll(/\bimport\(("(?:\.\/|node:)[^"]+")\)/g, "Promise.resolve().then(()=>require($1))")
    .replace(/export\{([^}]*)\};\s*$/, (_, names: string) => {
      const members = names.split(",").map((member) => member.split(" as "))
      return `return{${members.map(([own, outside = own]) => `${outside}:${own}`).join(",")}}`
    })
  return `(function(require){"use strict";${body}\n})`
}

/** One line that ends no comment. */
const plain = (text: string): string => JSON.stringify(text).replaceAll("*/", String.raw`*\/`)

const packed = (texts: ReadonlyArray<readonly [string, string]>): string =>
  zlib.brotliCompressSync(JSON.stringify(Object.fromEntries(texts))).toString("base64")
