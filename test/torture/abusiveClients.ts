/**
 * Clients that abuse the daemon until they are killed, by name.
 *
 * A script of its own, `node abusiveClients.ts NAME SOCKET SIZE`, so that it takes no time
 * from the client that measures. It prints "under way" when all its connections are open.
 */
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { randomFrom } from "../support/random.ts"

/** Opens `size` clients; resolves when the abuse is under way. */
type Abuse = (socket: string, size: number) => Promise<void>

/** Opens a connection. */
const open = (socket: string): Promise<net.Socket> =>
  new Promise((resolve) => {
    const connection = net.connect({ path: socket })
    let gone = false
    connection.on("error", () => (gone = true))
    connection.once("connect", () => resolve(connection))
    // A full backlog refuses connections, so they are tried again.
    connection.once("close", () => {
      if (gone && connection.bytesRead === 0 && !connection.readable) setTimeout(() => resolve(open(socket)), 10)
    })
  })

const openMany = async (socket: string, count: number, use: (connection: net.Socket) => void): Promise<void> => {
  const batch = 100
  for (let opened = 0; opened < count; opened += batch) {
    await Promise.all(Array.from({ length: Math.min(batch, count - opened) }, () => open(socket).then(use)))
  }
}

/** Writes without end, as fast as the daemon reads; opens a new connection when one is closed. */
const pour = async (socket: string, piece: () => string | Uint8Array): Promise<void> => {
  const connection = await open(socket)
  connection.resume()
  const write = () => {
    if (!connection.destroyed && connection.write(piece())) setImmediate(write)
  }
  connection.on("drain", write)
  connection.once("close", () => void pour(socket, piece))
  write()
}

const pourMany = async (socket: string, count: number, piece: () => string | Uint8Array): Promise<void> => {
  for (let n = 0; n < count; n += 1) await pour(socket, piece)
}

const request = (method: string, params: object = {}, id: unknown = 1) =>
  `${JSON.stringify({ jsonrpc: "2.0", method, params, id })}\n`

const lease = (client: string) => request("secrets.lease", { secret_name: "honest", client_id: client })
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
const mebibyte = 1024 * 1024

export const abusiveClients: Readonly<
  Record<string, { readonly what: string; readonly size: number; readonly run: Abuse }>
> = {
  slow: {
    what: "clients that send a byte a second",
    size: 500,
    run: (socket, size) =>
      openMany(socket, size, (connection) => {
        const bytes = lease("slow")
        let at = 0
        const timer = setInterval(() => connection.write(bytes[at++ % bytes.length] ?? ""), 1_000)
        connection.once("close", () => clearInterval(timer))
      })
  },
  unread: {
    what: "clients that send requests without end and read no reply",
    size: 200,
    run: async (socket, size) => {
      const many = request("secrets.status").repeat(1_000)
      const again = async () => {
        const connection = await open(socket)
        const write = () => {
          while (!connection.destroyed && connection.write(many));
        }
        connection.on("drain", write)
        connection.once("close", () => void again())
        write()
      }
      for (let n = 0; n < size; n += 1) await again()
    }
  },
  large: {
    what: "clients that request large values and read none",
    size: 200,
    run: async (socket, size) => {
      const many = request("secrets.lease", { secret_name: "large", client_id: "large" }).repeat(20)
      const again = async () => {
        const connection = await open(socket)
        connection.once("close", () => void again())
        connection.write(many)
        // A client that does not read notices a closed connection only by writing.
        const timer = setInterval(() => connection.write(many), 500)
        connection.once("close", () => clearInterval(timer))
      }
      for (let n = 0; n < size; n += 1) await again()
    }
  },
  endless: {
    what: "a line of more than a gigabyte",
    size: 1,
    run: (socket, size) => {
      const piece = Buffer.alloc(mebibyte, "x")
      return pourMany(socket, size, () => piece)
    }
  },
  unfinished: {
    what: "clients that leave a line of 7 MiB unfinished",
    size: 300,
    run: async (socket, size) => {
      const piece = Buffer.alloc(7 * mebibyte, "x")
      const again = async () => {
        const connection = await open(socket)
        connection.resume()
        connection.once("close", () => void again())
        connection.write(piece)
      }
      for (let n = 0; n < size; n += 1) await again()
    }
  },
  values: {
    what: "clients that add values of a mebibyte, escaped",
    size: 20,
    run: async (socket, size) => {
      const line = `{"method":"secrets.update","params":{"name":"large","value":"${"\\u003c".repeat(mebibyte)}"},"id":1}\n`
      await pourMany(socket, size, () => line)
    }
  },
  idle: {
    what: "idle connections",
    size: 10_000,
    run: (socket, size) => openMany(socket, size, () => undefined)
  },
  visits: {
    what: "clients that leave before the answer, each a hundred times a second",
    size: 10,
    run: async (socket, size) => {
      const visit = async (): Promise<void> => {
        const connection = await open(socket)
        connection.write(lease("visitor"), () => connection.destroy())
        connection.once("close", () => setTimeout(visit, 10))
      }
      for (let n = 0; n < size; n += 1) await visit()
    }
  },
  flood: {
    what: "a hundred thousand requests in one write",
    size: 4,
    run: async (socket, size) => {
      const all = lease("flood").repeat(100_000)
      await pourMany(socket, size, () => all)
    }
  },
  audit: {
    what: "clients that read the whole log again and again",
    size: 20,
    run: (socket, size) => pourMany(socket, size, () => request("secrets.audit", { tail: 1_000_000 }))
  },
  lookups: {
    what: "clients whose filters match none of twenty thousand leases and no audit entry",
    size: 20,
    run: async (socket, size) => {
      const taken = Array.from({ length: 20_000 }, (_, n) => lease(`holder-${n}`)).join("")
      const holder = await open(socket)
      holder.resume()
      holder.write(taken)
      const lines = [
        request("secrets.leases", { limit: 1_000_000, top: 100 }),
        request("secrets.revokeMatching", { client_id: "nobody" }),
        request("secrets.audit", { client_id: "nobody", after: 0 })
      ].join("")
      await pourMany(socket, size, () => lines)
    }
  },
  garbage: {
    what: "clients that send random bytes",
    size: 4,
    run: async (socket, size) => {
      const random = randomFrom(1)
      const bytes = Buffer.from(Array.from({ length: mebibyte }, () => random.below(256)))
      await pourMany(socket, size, () => bytes)
    }
  },
  encoding: {
    what: "requests that are not UTF-8",
    size: 4,
    run: async (socket, size) => {
      const line = Buffer.from(request("secrets.lease", { secret_name: "h\u00ff", client_id: "x" }), "latin1")
      const lines = Buffer.concat(Array.from({ length: 1_000 }, () => line))
      await pourMany(socket, size, () => lines)
    }
  },
  nested: {
    what: "nesting of a hundred thousand",
    size: 4,
    run: (socket, size) => {
      const lines = `${nested(100_000)}\n{"id":${nested(100_000)}}\n{"params":${'{"a":'.repeat(9_000)}1${"}".repeat(9_000)}}\n`
      return pourMany(socket, size, () => lines)
    }
  },
  odd: {
    what: "__proto__, huge numbers and duplicate names",
    size: 4,
    run: (socket, size) => {
      const lines = [
        `{"__proto__":{"method":"x"},"method":"secrets.status","params":{"__proto__":{"x":1},"constructor":{}},"id":{"__proto__":1}}`,
        `{"method":"secrets.lease","params":{"secret_name":"honest","client_id":"x","ttl":1e400},"id":1e999}`,
        `{"method":"secrets.audit","params":{"tail":${"9".repeat(100_000)}},"id":-0}`,
        `{${'"method":"secrets.status",'.repeat(5_000)}"id":1}`,
        `{"method":"secrets.get","id":{${'"a":1,'.repeat(5_000)}"a":2}}`,
        `{"method":"secrets.get","params":[${"{},".repeat(9_000)}1],"id":1}`
      ]
      return pourMany(socket, size, () => `${lines.join("\n")}\n`)
    }
  },
  long: {
    what: "lines of 8 MiB that are parsed to their end",
    size: 2,
    run: (socket, size) => {
      const lines = [
        `{"id":"${"\\u00e9".repeat(1_300_000)}"}\n`,
        `{"id":${"9".repeat(8_000_000)}}\n`,
        `{"method":"${"x".repeat(8_000_000)}"}\n`,
        `{"x":[${`${nested(400)},`.repeat(9_000)}1]}\n`,
        `${"[]".repeat(4_000_000)}\n`
      ].join("")
      return pourMany(socket, size, () => lines)
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = "", socket = "", size] = process.argv.slice(2)
  const client = abusiveClients[name]
  if (client === undefined) throw new Error(`no such abusive client: ${name}`)
  process.on("uncaughtException", (error) => process.stderr.write(`${name}: ${error.message}\n`))
  await client.run(socket, Number(size ?? client.size))
  process.stdout.write("under way\n")
  setInterval(() => undefined, 60_000)
}
