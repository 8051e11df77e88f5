/**
 * A package of a private scope, as a registry has it.
 */
import * as crypto from "node:crypto"
import * as zlib from "node:zlib"

const tarball = (): Buffer => {
  const text = Buffer.from(JSON.stringify({ name: "@me/private", version: "1.0.0" }))
  const header = Buffer.alloc(512)
  header.write("package/package.json", 0)
  header.write("0000644\0", 100)
  header.write("0000000\u00000000000\0", 108)
  header.write(`${text.length.toString(8).padStart(11, "0")}\0`, 124)
  header.write("00000000000\0", 136)
  header.write("        0", 148)
  header.write("ustar\u000000", 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  const body = Buffer.concat([text, Buffer.alloc(512 - (text.length % 512))])
  return zlib.gzipSync(Buffer.concat([header, body, Buffer.alloc(1024)]))
}
export const packed = tarball()

/** Returns what a registry says of it. */
export const packument = (registry: string) => ({
  name: "@me/private",
  "dist-tags": { latest: "1.0.0" },
  // Yarn takes no version that is new.
  time: { "1.0.0": "2020-01-01T00:00:00Z" },
  versions: {
    "1.0.0": {
      name: "@me/private",
      version: "1.0.0",
      dist: {
        // npm fetches it where the registry is, and others from here.
        tarball: `${registry}/@me/private/-/private-1.0.0.tgz`,
        integrity: `sha512-${crypto.createHash("sha512").update(packed).digest("base64")}`
      }
    }
  }
})
