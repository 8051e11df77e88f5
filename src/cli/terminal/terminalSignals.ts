/**
 * What a prompt or a view that changes the mode of the terminal does at a signal: it restores
 * the terminal before one ends the process, and changes it again after a stop.
 */
import { constants } from "node:os"

/** Their default action would leave the terminal as it is; `runMain` already handles SIGINT and SIGTERM. */
const fatalSignals = ["SIGHUP", "SIGQUIT", "SIGABRT", "SIGALRM", "SIGUSR2"] as const

export interface TerminalUse {
  /** Changes the mode, and shows what there is to see. */
  readonly enter: () => void
  readonly leave: () => void
}

export interface TerminalSignals {
  /** Stops the process group, as the terminal does on ^Z. */
  readonly suspend: () => void
  /** Removes the handlers. */
  readonly release: () => void
}

/** Handles the signals until `release`. */
export const handleTerminalSignals = ({ enter, leave }: TerminalUse): TerminalSignals => {
  let [isReleased, continued] = [false, 0]
  // A shell has changed the mode meanwhile, also after a SIGSTOP.
  const goOn = () => {
    continued += 1
    leave()
    enter()
  }
  const end = (signal: NodeJS.Signals) => {
    leave()
    process.exit(128 + constants.signals[signal])
  }
  process.on("SIGCONT", goOn)
  for (const signal of fatalSignals) process.once(signal, end)
  return {
    suspend: () => {
      const before = continued
      leave()
      process.kill(0, "SIGTSTP")
      // Nobody could continue an orphaned process group, so the system stops none of it. Otherwise the handler of SIGCONT
      // has run after one turn of the event loop.
      afterOneTurn(() => {
        if (!isReleased && continued === before) goOn()
      })
    },
    release: () => {
      isReleased = true
      process.off("SIGCONT", goOn)
      for (const signal of fatalSignals) process.off(signal, end)
    }
  }
}

// oxlint-disable no-restricted-globals -- these are no timers
const afterOneTurn = (run: () => void): void => void setImmediate(() => setImmediate(run))
