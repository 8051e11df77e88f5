/**
 * Has a module stand in the bundle as texts: itself, what it imports, and what that
 * imports only when it is needed. A text is compiled when it is loaded, so a command
 * pays for its own part of the program and for no other.
 *
 * The texts are packed, for what they cost a command that needs none of them goes by
 * their length. They stand in a comment, which is passed over in a tenth of the time
 * that strings take, and a function is around it, so that the program can read it.
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
  /** What loads the module in the place of it. */
  readonly plugin: Plugin
  /** The parts by name, as they are compiled. */
  readonly parts: ReadonlyMap<string, string>
  /** By which a file is known to be of this build. */
  readonly id: string
  /** The function with the texts, which has to stand in the file as it is. */
  readonly declaration: string
}

/** `entry` is the file of a module that exports something of the same name. */
export const asTexts = async (entry: string, options: BuildOptions): Promise<Texts> => {
  const { outputFiles } = await build({
    ...options,
    entryPoints: [entry],
    outdir: "parts",
    format: "esm",
    splitting: true,
    // What is no module has none; the libraries ask whether it is there.
    define: { ...options.define, "import.meta": "undefined" },
    minify: true,
    write: false
  })
  const parts = outputFiles.map((part) => [path.basename(part.path), linked(part.text)] as const)
  for (const [part, text] of parts) vm.compileFunction(text, [], { filename: part })
  const exported = path.basename(entry, ".ts")
  const texts = parts.map(([part, text]) => `${part}:${packed(text)}`)
  const id = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16)
  return {
    parts: new Map(parts),
    id,
    declaration: `function textsOfParts(){/*\n${texts.join("\n")}\n*/}`,
    plugin: {
      name: "as texts",
      setup: (bundle) => {
        bundle.onLoad({ filter: new RegExp(`/${exported}\\.ts$`) }, () => ({
          contents: loader(exported, id),
          resolveDir: import.meta.dirname
        }))
      }
    }
  }
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

const packed = (text: string): string => zlib.brotliCompressSync(text).toString("base64")

/** What is bundled in the place of the module. */
const loader = (exported: string, id: string) => `
import { loadPart } from "./partLoader.ts"
export const { ${exported} } = loadPart("./${exported}.js", "${id}")`
