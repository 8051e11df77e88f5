/**
 * What a starter of programs does on the wire, without a program: it begins a run, watches it,
 * and takes it up again when the connection breaks. Imports no library, as `connection.ts`.
 */
import { type Answer, Client } from "./connection.ts"

export interface Noticed {
  readonly kind: string
  readonly secret_name?: string
  /** The number of its audit entry. */
  readonly seq: number
  /** When it arrived, in milliseconds of the monotonic clock. */
  readonly at: number
}

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

export class RunWatcher {
  readonly notices: Array<Noticed> = []
  runId = ""
  /** Replies that said that the daemon stops. */
  stopping = 0
  takenUp = 0
  private readonly socketPath: string
  readonly clientId: string
  private readonly secrets: ReadonlyArray<string>
  private leaseIds = ""
  private cursor = 0
  private client: Client
  private isOver = false
  private readonly waiting = new Set<() => void>()

  constructor(socketPath: string, clientId: string, secrets: ReadonlyArray<string>) {
    this.socketPath = socketPath
    this.clientId = clientId
    this.secrets = secrets
    this.client = new Client(socketPath)
  }

  /** Leases the secrets and begins; returns the reply. */
  async begin(): Promise<Answer> {
    const ids: Array<string> = []
    for (const secret_name of this.secrets) {
      const leased = await this.client.ask("lease", { secret_name, client_id: this.clientId })
      ids.push(leased?.result?.lease_id ?? "")
    }
    this.leaseIds = ids.join(",")
    const begun = await this.client.ask("runs.begin", this.params())
    this.runId = begun?.result?.run_id ?? ""
    this.cursor = begun?.result?.cursor ?? 0
    return begun
  }

  /** Watches until `end`; takes the run up as often as its connection breaks. */
  async watch(pid = 4242): Promise<void> {
    while (!this.isOver) {
      const watch = { run_id: this.runId, after: this.cursor, timeout: "50", pid }
      const reply = await this.client.ask("runs.watch", watch)
      if (this.isOver) return
      if (reply?.result === undefined) await this.takeUp()
      else this.read(reply.result)
    }
  }

  /** Waits until so many notices have come. */
  async until(count: number): Promise<ReadonlyArray<string>> {
    while (this.notices.length < count) await new Promise<void>((resolve) => this.waiting.add(resolve))
    return this.notices.map(({ kind, secret_name }) => (secret_name === undefined ? kind : `${kind} ${secret_name}`))
  }

  /** Ends the run, as after its program. */
  async end(more: object = {}): Promise<Answer> {
    this.isOver = true
    const client = new Client(this.socketPath)
    const ended = await client.ask("runs.end", { run_id: this.runId, status: 143, signal: "SIGTERM", ...more })
    client.close()
    this.client.close()
    return ended
  }

  /** Leaves without a word, as a starter that is killed. */
  vanish(): void {
    this.isOver = true
    this.client.close()
  }

  private read({
    cursor,
    events,
    stopping
  }: {
    cursor: number
    events: ReadonlyArray<Noticed>
    stopping?: true
  }): void {
    this.cursor = cursor
    if (stopping) this.stopping += 1
    for (const event of events) this.notices.push({ ...event, at: performance.now() })
    if (events.length === 0) return
    for (const wake of this.waiting) wake()
    this.waiting.clear()
  }

  private async takeUp(): Promise<void> {
    const secret_names = this.secrets.map((name) => Buffer.from(name).toString("base64")).join(",")
    while (!this.isOver) {
      this.client.close()
      await pause(20)
      this.client = new Client(this.socketPath)
      const known = { run_id: this.runId, cursor: this.cursor, secret_names }
      const begun = await this.client.ask("runs.begin", { ...this.params(), ...known })
      if (begun?.result === undefined) continue
      this.takenUp += 1
      return
    }
  }

  private params(): object {
    return { client_id: this.clientId, lease_ids: this.leaseIds, program: "npm", via: "exec" }
  }
}
