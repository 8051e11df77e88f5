/**
 * Has a module stand in the bundle as texts: itself, what it imports, and what that
 * imports only when it is needed. A text is compiled when it is loaded, so a command
 * pays for its own part of the program and for no other.
 *
 * esbuild cuts the parts; here their imports become calls. It writes them in a few
 * forms, known from its output, and each part is compiled once at the build, which
 * fails if one was left over. Names are bound when a part is loaded: an export that
 * changes later would keep its first value. None of ours does, nor any of the libraries'
 * that another part imports.
 */
import type { BuildOptions, Plugin } from "esbuild"
import { build } from "esbuild"
import * as path from "node:path"
import * as vm from "node:vm"

export const asTexts = (file: RegExp, exported: string, options: BuildOptions): Plugin => ({
  name: "as texts",
  setup: (bundle) => {
    bundle.onResolve({ filter: file }, ({ path: found, resolveDir }) => ({
      // It is named in the bundle, and where this is built is nobody's business.
      path: path.relative("", path.resolve(resolveDir, found)),
      namespace: "texts"
    }))
    bundle.onLoad({ filter: /./, namespace: "texts" }, async ({ path: entry }) => {
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
      for (const [name, text] of parts) vm.compileFunction(text, [], { filename: name })
      return { contents: loader(parts, path.basename(entry, ".ts"), exported) }
    })
  }
})

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

const loader = (parts: ReadonlyArray<readonly [name: string, text: string]>, entry: string, exported: string) => `
import vm from "node:vm"
const texts = { ${parts.map(([part, text]) => `${JSON.stringify(part)}: ${JSON.stringify(text)}`).join(",\n")} }
const loaded = {}
const load = (name) => {
  if (name.startsWith("node:")) return process.getBuiltinModule(name)
  const part = name.slice(2)
  return (loaded[part] ??= vm.runInThisContext(texts[part], { filename: "secrets/" + part })(load))
}
export const { ${exported} } = load("./${entry}.js")`
