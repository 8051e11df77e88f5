/**
 * All checks of `secrets doctor`, in the order in which they are printed.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { reasonOf } from "../../command/Output.ts"
import { type Check, warning } from "./Check.ts"
import { checkDaemon, checkLock, checkProgram, checkSocket, checkVersion } from "./daemonChecks.ts"
import type { Examined } from "./examine.ts"
import {
  checkAudit,
  checkBackups,
  checkClock,
  checkDirectory,
  checkDisk,
  checkFiles,
  checkSettings,
  checkStore,
  isOfDaemonAlone,
  usesOtherDaemon
} from "./fileChecks.ts"
import { checkCollector, checkJoelclaw, checkService } from "./serviceChecks.ts"

const checks: ReadonlyArray<Check> = [
  { name: "program", run: checkProgram },
  { name: "settings", run: checkSettings },
  { name: "directory", run: checkDirectory },
  { name: "files", run: checkFiles, needs: "directory" },
  { name: "store", run: checkStore, needs: "store" },
  { name: "backups", run: checkBackups, needs: "store" },
  { name: "audit log", run: checkAudit, needs: "store" },
  { name: "disk", run: checkDisk },
  { name: "clock", run: checkClock, needs: "store" },
  { name: "lock", run: checkLock, needs: "store" },
  { name: "socket", run: checkSocket },
  { name: "daemon", run: checkDaemon },
  { name: "version", run: checkVersion },
  { name: "service", run: checkService },
  { name: "joelclaw", run: checkJoelclaw },
  { name: "collector", run: checkCollector }
]

/** Returns whether there is nothing to look at, because the daemon and its files are another account's. */
const isWithout = (needs: Check["needs"], examined: Examined): boolean =>
  (needs === "directory" && isOfDaemonAlone(examined)) || (needs === "store" && usesOtherDaemon(examined))

/** Runs every check. One that cannot be carried out is a finding, not the end of the others. */
export const runChecks = (examined: Examined) =>
  Effect.forEach(
    checks.filter(({ needs }) => !isWithout(needs, examined)),
    ({ name, run }) =>
      Effect.suspend(() => run(examined)).pipe(
        Effect.catchCause((cause) =>
          Effect.succeed([warning("it could not be checked", reasonOf(Cause.squash(cause)))])
        ),
        Effect.map((findings) => findings.map((finding) => ({ check: name, ...finding })))
      ),
    { concurrency: "unbounded" }
  ).pipe(Effect.map((found) => found.flat()))
