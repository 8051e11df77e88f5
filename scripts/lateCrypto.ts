/**
 * Has the file system of the platform load Node's crypto when it makes a temporary name,
 * which no command does: to load it takes a tenth of what a command may take in all.
 */
import type { Plugin } from "esbuild"

export const lateCrypto: Plugin = {
  name: "late crypto",
  setup: (bundle) => {
    bundle.onResolve({ filter: /^node:crypto$/ }, ({ importer, path }) =>
      importer.endsWith("/NodeFileSystem.js") ? { path, namespace: "late-crypto" } : undefined
    )
    bundle.onLoad({ filter: /.*/, namespace: "late-crypto" }, () => ({
      contents: `export const randomBytes = (size) => process.getBuiltinModule("node:crypto").randomBytes(size)`
    }))
  }
}
