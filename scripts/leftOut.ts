/**
 * Leaves out of the bundle what age-encryption brings for keys that no store here has:
 * post-quantum ones and those on the NIST curves. It is a fifth of the daemon's code,
 * and makes its tables whenever it is loaded. A key of such a kind in identity.age is
 * refused as any text that is no X25519 key.
 */
import type { Plugin } from "esbuild"

const modules: Readonly<Record<string, ReadonlyArray<string>>> = {
  "@noble/post-quantum/hybrid.js": ["MLKEM768P256", "MLKEM768X25519"],
  "@noble/curves/nist.js": ["p256"]
}

export const leftOut: Plugin = {
  name: "left out",
  setup: (bundle) => {
    bundle.onResolve({ filter: /^@noble\// }, ({ path }) =>
      Object.hasOwn(modules, path) ? { path, namespace: "left-out" } : undefined
    )
    bundle.onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
      contents: (modules[path] ?? []).map((name) => `export const ${name} = undefined`).join("\n")
    }))
  }
}
