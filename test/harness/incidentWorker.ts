/**
 * The worker of the incident: leases every secret once. `node incidentWorker.ts SOCKET`
 */
import { fileURLToPath } from "node:url"
import { Client } from "./connection.ts"

export const secretCount = 56

/** Calls a method and returns its result; throws where there is none. */
export const resultOf = async (client: Client, method: string, params = {}): Promise<any> => {
  const answer = await client.ask(method, params)
  if (answer?.result === undefined) throw new Error(`${method} failed: ${JSON.stringify(answer?.error)}`)
  return answer.result
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = Array.from({ length: secretCount }, (_, n) => `secret_${n + 1}`)
  // Several connections, as a worker's tasks have; the daemon writes their audit entries together.
  const task = async () => {
    const client = new Client(process.argv[2] ?? "")
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await resultOf(client, "lease", { secret_name: name, client_id: "worker", ttl: "24h" })
    }
    client.close()
  }
  await Promise.all(Array.from({ length: 8 }, task))
}
