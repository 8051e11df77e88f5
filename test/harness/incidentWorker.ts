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
  const client = new Client(process.argv[2] ?? "")
  for (let n = 1; n <= secretCount; n += 1) {
    await resultOf(client, "lease", { secret_name: `secret_${n}`, client_id: "worker", ttl: "24h" })
  }
  client.close()
}
