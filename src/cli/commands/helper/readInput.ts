/**
 * Standard input of a helper: until it is complete by the protocol, for at most 1 MiB and 2 s. Some
 * programs keep it open until they have the answer, never write to it, or never end.
 */
import { after } from "../../../rpc/client/after.ts"

const maxLength = 1024 * 1024
const maxMillis = 2000

const nothing = (): void => undefined

export interface HelperInput {
  readonly text: string
  /** There is nothing after it. */
  readonly ended: boolean
}

/** Makes a reader of a stream, which keeps what follows a request for the next one. */
export const inputReader = (stream: NodeJS.ReadableStream) => {
  let [buffered, ended]: [string, boolean] = ["", false]
  const decoder = new TextDecoder()
  let received = nothing
  const end = () => {
    ended = true
    received()
  }
  stream
    .on("data", (chunk: Buffer) => {
      buffered += decoder.decode(chunk, { stream: true })
      // What is above the limit waits for the next request, or is never read.
      if (buffered.length > maxLength) stream.pause()
      received()
    })
    .once("end", end)
    .once("error", end)

  /** Returns one request: `endOf` says where it ends, or undefined before that. Returns undefined if it is too long. */
  return (endOf: (text: string) => number | undefined): Promise<HelperInput | undefined> =>
    new Promise((resolve) => {
      const settle = (input: HelperInput | undefined) => {
        cancel()
        received = nothing
        resolve(input)
      }
      const take = (length: number, isLast: boolean) => {
        const text = buffered.slice(0, length)
        buffered = buffered.slice(length)
        settle({ text, ended: isLast })
      }
      const cancel = after(maxMillis, () => take(buffered.length, true))
      received = () => {
        const at = endOf(buffered)
        if (at !== undefined) take(at, ended && at === buffered.length)
        else if (buffered.length > maxLength) settle(undefined)
        else if (ended) take(buffered.length, true)
      }
      received()
      if (buffered.length <= maxLength) stream.resume()
    })
}
