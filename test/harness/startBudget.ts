/**
 * How long the program may take to start, in times of an empty Node (`node -e 0`) that runs
 * in the same rounds. `npm run bench -- start` compares.
 */
export interface StartBudget {
  readonly lease: number
  /** `helper print`, which other programs wait for. */
  readonly print: number
  /** The same of a protocol with targets, which reads them from config.json. */
  readonly target: number
  /** `exec -- true`, which loads more than most commands and runs a child. */
  readonly exec: number
  /** `serve`, until it accepts requests. */
  readonly ready: number
  /** `mcp`, until it has answered `initialize`. */
  readonly mcp: number
}

export const scriptBudget: StartBudget = { lease: 1.6, print: 1.7, target: 1.9, exec: 4, ready: 7, mcp: 6 }
export const binaryBudget: StartBudget = { lease: 0.8, print: 0.9, target: 1, exec: 1.3, ready: 3, mcp: 6 }
